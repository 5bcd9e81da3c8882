import type { Config } from '../../config/table.ts'
import { opensSession, type Rights } from '../../connection/auth.ts'
import type { Connection } from '../../connection/connection.ts'
import { endText, newToken, type Renewals } from '../../connection/renewal.ts'
import { type FrameErrorCode, frameErrors } from '../../contract/codes.ts'
import { sessionUp } from '../../contract/names.ts'
import { mayContain } from '../../platform/json-members.ts'
import { jsonFault } from '../../platform/json-scan.ts'
import { ackFrame, frameOf } from '../../sessions/frames.ts'
import { numberOf } from '../../sessions/numbers.ts'
import type { ResumeTickets } from '../../sessions/resume-tickets.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import { type Done, FramesBehind, readerOf, type SessionState, stateOf, type UpstreamPublisher } from './state.ts'

/** Publishes client frames to Redis, as far as this door needs it. */
interface Upstream {
  /**
   * Returns a publisher for one client. It calls `refused` for each frame that was not published,
   * or perhaps not. `refused` must not throw.
   */
  publisher(channel: string, refused: (code: 'upstream-unavailable' | 'upstream-uncertain') => void): UpstreamPublisher
}

export interface ClientFramesParts {
  readonly options: Pick<Config, 'jsonMaxDepth' | 'sessionUpstream'>
  readonly upstream: Upstream
  readonly metrics: Metrics
  readonly enqueue: (connection: Connection, frame: Buffer) => void
  /** Called for each frame that is not JSON or nested too deep; it may close the socket. */
  readonly unusable: (connection: Connection, bytes: number) => void
  /** Runs later work for a socket. A throw in it ends that socket only. */
  readonly guard: (connection: Connection, work: () => void) => void
  /** Keeps for an agent that does not listen now which run a client has cancelled. */
  readonly cancel: (sessionId: string, run: string) => Promise<void>
  /** Undefined: no key of JWTs is configured. */
  readonly renewals: Renewals | undefined
  /** Undefined: RESUME_TICKET_TTL is 0. */
  readonly tickets: ResumeTickets | undefined
}

const CANCEL = Buffer.from('cancel')
const PING = Buffer.from('ping')
/** A longer frame is more than a ping. */
const MAX_PING_BYTES = 256

/**
 * What the session door does with the text frames of its clients: answers pings, takes new JWTs,
 * publishes the others, and acknowledges those of `wsproxy.v2` that have a number.
 */
export class ClientFrames {
  readonly #parts: ClientFramesParts

  constructor(parts: ClientFramesParts) {
    this.#parts = parts
  }

  receive(connection: Connection, frame: Buffer): void {
    const numbered = readerOf(connection) && numberOf(frame)
    if (numbered)
      this.#take(connection, numbered.rest, (outcome) => this.#acknowledge(connection, numbered.number, outcome))
    else this.#take(connection, frame)
  }

  #take(connection: Connection, frame: Buffer, done?: Done): void {
    const { behindCancel } = stateOf(connection)
    if (behindCancel) {
      const isKept = behindCancel.add(frame, (copy) => this.#take(connection, copy, done))
      return isKept ? undefined : this.#fail(connection, 'upstream-unavailable', done)
    }
    const { jsonMaxDepth } = this.#parts.options
    const fault = jsonFault(frame, jsonMaxDepth)
    if (fault !== undefined) {
      connection.active(connection.lastFrameAt)
      const depth = `The frame is nested deeper than ${jsonMaxDepth} levels (JSON_MAX_DEPTH); it was not published.`
      if (done) done('invalid-json')
      else this.refuse(connection, 'invalid-json', fault === 'too-deep' ? depth : undefined)
      return this.#parts.unusable(connection, frame.length)
    }
    const pong = pongFor(frame)
    if (pong) return this.#say(connection, { ...pong, timestamp: new Date() })
    const token = connection.rights && newToken(frame, 'control', 'auth')
    if (token !== undefined) return this.#renew(connection, token)
    // A read-only client cancels no run either: `publish` refuses its frame.
    const run = readerOf(connection) && !stateOf(connection).isReadOnly ? cancelledRun(frame) : undefined
    if (run === undefined) this.publish(connection, frame, done)
    else void this.#cancel(connection, run, Buffer.from(frame), done)
  }

  /** The frame holds a secret, so it goes no further, whatever comes of it. */
  #renew(connection: Connection, token: string): void {
    const allows = (rights: Rights) => this.#allows(connection, rights)
    const { renewals } = this.#parts
    // Without a key the JWT that a ticket goes back to cannot be renewed.
    if (renewals === undefined) return this.refuse(connection, 'auth-rejected')
    renewals.renew(connection, token, allows, (end) => this.#renewed(connection, end))
  }

  /** @param end undefined: the token was refused. */
  #renewed(connection: Connection, end: number | undefined): void {
    if (end === undefined) return this.refuse(connection, 'auth-rejected')
    this.#say(connection, { type: 'control', command: 'auth_ok', expires_at: endText(end) })
    const state = stateOf(connection)
    if (state.grant === undefined) return
    void this.#newTicket(connection, state).catch((error: unknown) =>
      this.#parts.guard(connection, () => {
        throw error
      }),
    )
  }

  async #newTicket(connection: Connection, state: SessionState): Promise<void> {
    const tickets = this.#parts.tickets!
    state.grant = await tickets.admit(connection.subject, state.agentId, connection.rights)
    await tickets.begin(connection)
  }

  /** Whether a new JWT opens the session of this socket. If so, its `up` counts from now on. */
  #allows({ subject, doorState }: Connection, rights: Rights): boolean {
    const state = doorState as SessionState
    if (!opensSession(rights, subject, state.agentId)) return false
    state.isReadOnly = !rights.publishes
    return true
  }

  /**
   * The key comes first, so that an agent that hears the message finds it. Frames behind this one
   * wait for the key.
   */
  async #cancel(connection: Connection, run: string, frame: Buffer, done?: Done): Promise<void> {
    const state = stateOf(connection)
    const behind = new FramesBehind()
    state.behindCancel = behind
    const written = await this.#parts.cancel(connection.subject, run).then(
      () => true,
      () => false,
    )
    state.behindCancel = undefined
    if (written) this.publish(connection, frame, done)
    else this.#fail(connection, 'upstream-unavailable', done)
    // One of them may cancel again: then the rest waits behind that one.
    behind.release()
  }

  #fail(connection: Connection, code: FrameErrorCode, done?: Done): void {
    if (done) done(code)
    else this.refuse(connection, code)
  }

  #acknowledge(connection: Connection, number: number, outcome: number | FrameErrorCode): void {
    if (outcome === 'invalid-json') this.#parts.metrics.lose('invalid')
    const result = typeof outcome === 'number' ? { receivers: outcome } : { error: outcome }
    this.#parts.enqueue(connection, ackFrame(number, result))
  }

  /** Publishes a frame as it is, behind all earlier ones of its socket. */
  publish(connection: Connection, frame: Buffer, done?: Done): void {
    const state = stateOf(connection)
    if (state.behindCancel) {
      const isKept = state.behindCancel.add(frame, (copy) => this.publish(connection, copy, done))
      return isKept ? undefined : this.#fail(connection, 'upstream-unavailable', done)
    }
    connection.active(connection.lastFrameAt)
    if (!this.#parts.options.sessionUpstream) return this.#fail(connection, 'upstream-disabled', done)
    if (state.isReadOnly) return this.#fail(connection, 'forbidden', done)
    // The bytes belong to uWebSockets.js and are reused after this call. A copy from the pool is
    // the cheapest.
    const copy = Buffer.allocUnsafe(frame.length)
    frame.copy(copy)
    state.publisher ??= this.#newPublisher(connection)
    state.publisher.publish(copy, connection.trace, done)
  }

  /** Reports that a frame was not published. */
  refuse(connection: Connection, code: FrameErrorCode, message: string = frameErrors[code]): void {
    if (code === 'invalid-json') this.#parts.metrics.lose('invalid')
    this.#say(connection, { type: 'error', code, message })
  }

  #newPublisher(connection: Connection): UpstreamPublisher {
    return this.#parts.upstream.publisher(sessionUp(connection.subject), (code) => this.refuse(connection, code))
  }

  #say(connection: Connection, value: object): void {
    this.#parts.enqueue(connection, frameOf(value))
  }
}

/**
 * The answer to a ping that has no other member, without its time; undefined for other frames. A
 * ping with more members is the agent's: programs send one to time the whole way.
 */
function pongFor(frame: Buffer): object | undefined {
  if (frame.length > MAX_PING_BYTES || !mayContain(frame, PING)) return undefined
  const value: unknown = JSON.parse(frame.toString('utf8'))
  if (typeof value !== 'object' || value === null) return undefined
  const { type, command } = value as Record<string, unknown>
  const count = Object.keys(value).length
  if (type === 'ping' && count === 1) return { type: 'pong' }
  if (type === 'control' && command === 'ping' && count === 2) return { type, command: 'pong' }
  return undefined
}

/** The run that a frame cancels: '' when it names none. Undefined for other frames. */
export function cancelledRun(frame: Buffer): string | undefined {
  if (frame.length > MAX_PING_BYTES || !mayContain(frame, CANCEL)) return undefined
  const { type, command, run = '' } = (JSON.parse(frame.toString('utf8')) ?? {}) as Record<string, unknown>
  return type === 'control' && command === 'cancel' && typeof run === 'string' ? run : undefined
}
