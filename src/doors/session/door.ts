import type { Config } from '../../config/table.ts'
import { opensSession, type Rights, type TokenClaims } from '../../connection/auth.ts'
import type { Batch, Source, Topic } from '../../connection/bind.ts'
import type { Connection } from '../../connection/connection.ts'
import type { Admission, Door } from '../../connection/door.ts'
import { clockMs, type IdleTimeout } from '../../connection/times.ts'
import type { BackpressureLevel } from '../../connection/wire.ts'
import { type Close, closeFor, closes, type Refusal, refusals } from '../../contract/codes.ts'
import { isId, isOwnSegment, sessionAuth, sessionDown } from '../../contract/names.ts'
import { PathPattern } from '../../http/path.ts'
import { lastOf, membersOf, namesOf, stringOf } from '../../platform/json-members.ts'
import { jsonFault } from '../../platform/json-scan.ts'
import { byteRateOf, type Rate, rateOf } from '../../platform/rate.ts'
import { frameOf } from '../../sessions/frames.ts'
import type { SessionLogs } from '../../sessions/logs.ts'
import { endOf, headerOf, MARK } from '../../sessions/numbers.ts'
import { loggedOf } from '../../sessions/parts.ts'
import type { Resume } from '../../sessions/position.ts'
import type { DoorStats } from '../../telemetry/metrics.ts'
import { ClientFrames, type ClientFramesParts } from './client-frames.ts'
import type { FlowSignal } from './flow.ts'
import { GapNotices } from './gaps.ts'
import { PROTOCOLS, resumeOf } from './resume.ts'

import { isSession, NumberedState, readerOf, SessionState, StreamState, stateOf, WatchState } from './state.ts'

import { judgeFor } from './tickets.ts'

type SessionOptions = Pick<
  Config,
  | 'maxMessageBytes'
  | 'jsonMaxDepth'
  | 'sessionUpstream'
  | 'sessionBinary'
  | 'sessionRefuse'
  | 'sessionRate'
  | 'sessionRateBurst'
  | 'sessionByteRateBytes'
  | 'sessionIdleTimeoutMs'
  | 'streamEndTimeoutMs'
>

const DEFAULT_MAX_MESSAGE_BYTES = 1024 * 1024

export interface SessionParts extends ClientFramesParts {
  readonly options: SessionOptions
  /** Signals slow clients to agents; undefined when the signal is off. */
  readonly flow: FlowSignal | undefined
  /** Passes numbered messages. */
  readonly logs: SessionLogs
}

const KIND = namesOf('type', 'command')
/** Longer than the words that this door looks for. */
const MAX_WORD = 16
const STREAM_END = Buffer.from('"stream_end"')
/**
 * Its end. A search jumps from one first byte to the next, and underscores are rarer than quotes.
 */
const END = STREAM_END.subarray(STREAM_END.indexOf('_'))
/**
 * `render` looks for a control frame only in messages up to this size: a control frame is a few
 * words and arguments.
 */
const MAX_CONTROL_BYTES = 64 * 1024

/**
 * `GET /{agentId}/ws/{sessionId}`: a two-way pipe over `session:<id>:down` and `session:<id>:up`.
 * docs/reference/protocol.md has its frames.
 */
export class SessionDoor implements Door, Source {
  readonly name = 'session'
  readonly subjectName = 'session'
  readonly path = new PathPattern('/:agentId/ws/:sessionId')
  readonly protocols = [PROTOCOLS.numbered, PROTOCOLS.plain]
  readonly maxMessageBytes: number
  readonly rate: Rate
  readonly byteRate: Rate
  readonly idleTimeout: IdleTimeout | undefined
  readonly receiveBinary?: (connection: Connection, frame: Buffer) => void
  readonly stats: DoorStats
  readonly #parts: SessionParts
  readonly #frames: ClientFrames
  readonly #afterStreamEnd: IdleTimeout | undefined
  /** Says to sockets what they may have missed while Redis was away. */
  readonly gaps: GapNotices

  constructor(parts: SessionParts) {
    const { options, metrics } = parts
    this.#parts = parts
    this.#frames = new ClientFrames(parts)
    this.gaps = new GapNotices(parts)
    if (options.sessionBinary === 'pass') this.receiveBinary = (socket, frame) => this.#frames.publish(socket, frame)
    this.stats = metrics.door(this.name)
    this.maxMessageBytes = options.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES
    this.rate = rateOf(options.sessionRate, options.sessionRateBurst)
    this.byteRate = byteRateOf(options.sessionByteRateBytes, this.maxMessageBytes)
    this.idleTimeout = idleAfter(options.sessionIdleTimeoutMs, closes.notHeard)
    this.#afterStreamEnd = idleAfter(options.streamEndTimeoutMs, closes.streamEnd)
  }

  admit(ids: readonly string[], query = '', protocol = ''): Admission | Refusal {
    const resume = protocol === PROTOCOLS.numbered ? resumeOf(query) : undefined
    if (resume !== undefined && 'kind' in resume) return resume
    const admission = resume ? this.admitReader(ids, resume) : this.#admit(ids, (agentId) => new SessionState(agentId))
    const { tickets } = this.#parts
    if (admission.kind === 'refusal' || resume === undefined || tickets === undefined) return admission
    const { subject } = admission
    return {
      ...admission,
      checkTicket: (ticket) => judgeFor(admission, tickets, ticket),
      admitted: (connection) => this.#giveTicket(connection, subject, undefined),
    }
  }

  /** Admits a client that gets numbers, but no resume tickets. */
  admitReader(ids: readonly string[], resume: Resume, State = NumberedState): Admission | Refusal {
    const admission = this.#admit(ids, (agentId) => new State(agentId))
    if (admission.kind === 'refusal') return admission
    const reader = admission.doorState as NumberedState
    return { ...admission, prepare: (connection) => this.#parts.logs.position(connection, reader, resume) }
  }

  #admit(
    [agentId = '', sessionId = '']: readonly string[],
    stateFor: (agentId: string) => SessionState,
  ): Admission | Refusal {
    if (!isId(agentId) || !isId(sessionId)) return refusals['malformed-id']
    if (isOwnSegment(agentId)) return refusals['not-found']
    const down = sessionDown(sessionId)
    return {
      kind: 'admission',
      subject: sessionId,
      tokenKey: sessionAuth(sessionId),
      source: this,
      redisChannel: down,
      topics: [[down]],
      topicsRequired: true,
      doorState: stateFor(agentId),
    }
  }

  grants(admission: Admission, rights: Rights): Admission | undefined {
    const { subject, admitted } = admission
    const state = admission.doorState as SessionState
    state.isReadOnly = !rights.publishes
    if (!opensSession(rights, subject, state.agentId)) return undefined
    return admitted
      ? { ...admission, admitted: (connection) => this.#giveTicket(connection, subject, rights) }
      : admission
  }

  /** @param rights of the JWT that admitted the client, if one did. */
  async #giveTicket(connection: Connection, session: string, rights: TokenClaims | undefined): Promise<void> {
    const state = stateOf(connection)
    const tickets = this.#parts.tickets!
    state.grant ??= await tickets.admit(session, state.agentId, rights)
    await tickets.begin(connection)
  }

  refusalAsClose(refusal: Refusal, protocol: string): Close | undefined {
    return protocol === PROTOCOLS.numbered || this.#parts.options.sessionRefuse === 'close'
      ? closeFor(refusal)
      : undefined
  }

  /**
   * Returns the bytes of the message unchanged. A `stream_end` also starts the timeout that follows
   * it.
   */
  render(topic: Topic, message: Buffer, _: string, batch: Batch): Buffer | undefined {
    this.gaps.sayBefore(topic.members)
    if (message[0] === MARK || topic.state !== undefined) return this.#renderNumbered(topic, message, batch)
    this.#lookForEnd(topic, message, 0, batch)
    return message
  }

  receive(connection: Connection, frame: Buffer): void {
    this.#frames.receive(connection, frame)
  }

  rateLimited(connection: Connection): void {
    this.#frames.refuse(connection, 'rate-limited')
  }

  opened(connection: Connection): void {
    if (readerOf(connection)) this.#parts.logs.readOn(connection)
  }

  onBackpressure(connection: Connection, level: BackpressureLevel): void {
    if (level === 'low' && readerOf(connection)) this.#parts.logs.readOn(connection)
    this.#parts.flow?.onBackpressure(connection, level)
  }

  goodbye(close: Close, reconnectAfterMs: number): Buffer | undefined {
    if (close !== closes.draining) return undefined
    return frameOf({ type: 'control', command: 'goodbye', reason: close.reason, reconnect_after_ms: reconnectAfterMs })
  }

  expiring(expiresAt: number, leftMs: number): Buffer {
    const at = new Date(expiresAt)
    return frameOf({ type: 'control', command: 'auth_expiring', expires_at: at, in_ms: leftMs })
  }

  tooLarge(topic: Topic, message: Buffer): void {
    const now = new Date()
    const header = headerOf(message)
    const isNumbered = header !== undefined && this.#parts.logs.tooLarge(topic, header)
    for (const member of topic.members.slice())
      if (!isNumbered || !readerOf(member))
        this.#say(member, { type: 'control', command: 'gap', from: now, to: now, reason: 'oversize_down' })
  }

  left(_: Topic, connection: Connection): void {
    this.gaps.sayNow(connection)
  }

  entered(topic: Topic, connection: Connection): void {
    if (readerOf(connection)) this.#parts.logs.entered(topic, connection)
  }

  /** The topic has sockets of `wsproxy.v2`, or the message a number. */
  #renderNumbered(topic: Topic, message: Buffer, batch: Batch): Buffer | undefined {
    const end = endOf(message)
    if (end !== undefined) return this.#ended(topic, message, end)
    const { state } = topic
    const header = headerOf(message, state === undefined ? '' : loggedOf(topic).epoch)
    const start = header?.end ?? 0
    this.#lookForEnd(topic, message, start, batch)
    if (state === undefined) return message.subarray(start)
    this.#parts.logs.message(topic, message, header, batch.ascii)
    return undefined
  }

  /** The log has ended. Sockets that only hear that something has come read that by themselves. */
  #ended(topic: Topic, message: Buffer, end: { readonly epoch: string; readonly offset: number }): undefined {
    this.#parts.logs.end(topic, end)
    for (const member of topic.members.slice())
      if (stateOf(member) instanceof WatchState) this.#parts.enqueue(member, message)
  }

  /** @param start where the payload begins. */
  #lookForEnd({ members }: Topic, whole: Buffer, start: number, batch: Batch): void {
    if (this.#afterStreamEnd === undefined || whole.length > MAX_CONTROL_BYTES || !batch.has(END)) return
    const message = start === 0 ? whole : whole.subarray(start)
    if (message.includes(STREAM_END) && this.#isStreamEnd(message))
      for (const member of members) this.streamEnded(member)
  }

  #isStreamEnd(message: Buffer): boolean {
    if (jsonFault(message, this.#parts.options.jsonMaxDepth) !== undefined) return false
    const { type, command } = kindOf(message)
    return type === 'control' && command === 'stream_end'
  }

  /** From now on the socket has the timeout that follows the end of a stream. */
  streamEnded(connection: Connection): void {
    const state = stateOf(connection)
    if (state instanceof StreamState) state.hasEnded = true
    if (this.#afterStreamEnd !== undefined) connection.setIdleTimeout(this.#afterStreamEnd, clockMs())
  }

  /** Counts the sockets and streams of sessions among `open` by the agent that their path names. */
  countByAgent(open: Iterable<Connection>): Map<string, number> {
    const counts = new Map<string, number>()
    for (const connection of open) {
      if (!isSession(connection)) continue
      const { agentId } = stateOf(connection)
      counts.set(agentId, (counts.get(agentId) ?? 0) + 1)
    }
    return counts
  }

  #say(connection: Connection, value: object): void {
    this.#parts.enqueue(connection, frameOf(value))
  }
}

const idleAfter = (afterMs: number, close: Close): IdleTimeout | undefined =>
  afterMs === 0 ? undefined : { afterMs, close }

/** The type and the command of a frame that is JSON. */
function kindOf(frame: Buffer): { type?: string | undefined; command?: string | undefined } {
  const members = membersOf(frame, KIND)
  if (members === undefined) return {}
  const word = (name: string) => stringOf(frame, lastOf(members, name), MAX_WORD)
  return { type: word('type'), command: word('command') }
}
