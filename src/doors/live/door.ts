import type { Config } from '../../config/table.ts'
import type { Rights } from '../../connection/auth.ts'
import type { Bindings, Source, Topic } from '../../connection/bind.ts'
import { Compression } from '../../connection/compression.ts'
import type { Connection } from '../../connection/connection.ts'
import type { Admission, Door } from '../../connection/door.ts'
import type { Renewals } from '../../connection/renewal.ts'
import { clockMs, type IdleTimeout } from '../../connection/times.ts'
import { type Close, closes, idleClose, type Refusal, refusals } from '../../contract/codes.ts'
import type { Auth, ClientType, DataRequest, ErrorCode, PublishRequest } from '../../contract/live/types.gen.ts'
import { isTopic, liveBus, liveChannels } from '../../contract/names.ts'
import { PathPattern } from '../../http/path.ts'
import { byteRateOf, type Rate, rateOf } from '../../platform/rate.ts'
import { sameSecret } from '../../platform/secrets.ts'
import type { LiveCounts } from '../../telemetry/live.ts'
import { serialOf } from '../../telemetry/log.ts'
import type { DoorStats, Metrics } from '../../telemetry/metrics.ts'
import type { LiveBus } from './bus.ts'
import { dataFrame } from './data-frame.ts'
import { errorFrame, frameOf, listed, messageOf, pongFrame, shown } from './frames.ts'
import { greetings } from './greetings.ts'
import { parseClientFrame } from './inbound.ts'
import { type MessageLimits, messageFrom } from './messages.ts'
import { type Publication, type Publisher, publishFrame } from './publisher.ts'
import { renew } from './renew.ts'
import { SubscriptionRequests } from './requests.ts'
import { heard, type RetainedMessages } from './retained.ts'
import { measureCompressed } from './stats.ts'
import type { StatusCache } from './status.ts'
import { grantedTo, isGranted, type LiveRights, type LiveTopics, nameOf, stateFor, stateOf, viewOf } from './topics.ts'

type LiveOptions = Pick<
  Config,
  | 'maxMessageBytes'
  | 'maxDownMessageBytes'
  | 'jsonMaxDepth'
  | 'liveRate'
  | 'liveRateBurst'
  | 'liveByteRateBytes'
  | 'liveIdleTimeoutMs'
  | 'liveMaxDrops'
  | 'liveCompression'
  | 'liveRefuse'
  | 'liveStart'
  | 'livePath'
  | 'liveUnknownType'
  | 'wsAllowedOrigins'
  | 'wsAuthRequired'
  | 'wsAuthToken'
>

const DEFAULT_MAX_MESSAGE_BYTES = 64 * 1024

export interface LiveParts {
  readonly options: LiveOptions
  readonly topics: LiveTopics
  readonly bindings: Bindings
  readonly bus: LiveBus
  readonly status: StatusCache
  readonly publisher: Publisher
  /** Undefined: no topic keeps its last message. */
  readonly retained: RetainedMessages | undefined
  readonly metrics: Metrics
  readonly enqueue: (connection: Connection, frame: Buffer) => void
  /** Runs work for a socket; an error in it ends that socket and nothing else. */
  readonly guard: (connection: Connection, work: () => void) => void
  /** Undefined: no key of JWTs is configured. */
  readonly renewals: Renewals | undefined
  /** Called for a message from Redis that breaks the rules of its topic; it is dropped. */
  readonly unusable: (topic: string) => void
}

/** A frame of up to this many times the limit is dropped with an error frame; the socket stays. */
const FORGIVEN_FACTOR = 8
/** Granted only by `*`: no topic has this name. */
const ANY = '*'

/**
 * `GET /live` (`LIVE_PATH`): many topics over one socket, under a versioned contract. Its frames
 * are documented in docs/reference/protocol.md.
 */
export class LiveDoor implements Door, Source {
  static readonly NAME = 'live'
  readonly name = LiveDoor.NAME
  readonly subjectName = 'view'
  readonly path: PathPattern
  readonly maxMessageBytes: number
  readonly maxForgivenBytes: number
  readonly maxDrops: number
  readonly compression: Compression | undefined
  readonly rate: Rate
  readonly byteRate: Rate
  readonly idleTimeout: IdleTimeout | undefined
  readonly stats: DoorStats
  readonly allowedOrigins?: readonly string[]
  readonly #parts: LiveParts
  readonly #limits: MessageLimits
  readonly #requests: SubscriptionRequests
  readonly #accepts: ((token: string) => boolean) | undefined = undefined

  constructor(parts: LiveParts) {
    const { options, metrics, bindings, topics } = parts
    this.#parts = parts
    this.path = new PathPattern(options.livePath, '/api/dashboard/ws/:view')
    this.stats = metrics.door(this.name)
    this.maxMessageBytes = options.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES
    this.maxForgivenBytes = this.maxMessageBytes * FORGIVEN_FACTOR
    this.#limits = { maxBytes: options.maxDownMessageBytes, maxDepth: options.jsonMaxDepth }
    this.maxDrops = options.liveMaxDrops
    this.compression = options.liveCompression ? new Compression() : undefined
    this.rate = rateOf(options.liveRate, options.liveRateBurst)
    this.byteRate = byteRateOf(options.liveByteRateBytes, this.maxForgivenBytes)
    this.idleTimeout =
      options.liveIdleTimeoutMs === 0 ? undefined : { afterMs: options.liveIdleTimeoutMs, close: idleClose }
    if (options.wsAllowedOrigins) this.allowedOrigins = options.wsAllowedOrigins
    const { wsAuthRequired, wsAuthToken: token } = options
    // Without a shared token, JWTs alone open the door.
    if (wsAuthRequired) this.#accepts = (given) => token !== undefined && sameSecret(given, token)
    this.#requests = new SubscriptionRequests({
      bindings,
      topics,
      source: this,
      countError: () => this.#counts.errorsSent++,
      guard: parts.guard,
      confirmed: (connection, joined) => parts.retained?.greet(connection, joined),
      send: (connection, frame) => this.#send(connection, frame),
    })
  }

  admit([name = 'dashboard']: readonly string[], query = ''): Admission | Refusal {
    const view = viewOf(name)
    return view === undefined ? refusals['not-found'] : this.#admission(view, query, this.#parts.topics.shared)
  }

  /** A JWT opens this door when it names topics, and for those only. */
  grants({ subject }: Admission, rights: Rights, query: string): Admission | undefined {
    return rights.topics.length === 0 ? undefined : this.#admission(subject as ClientType, query, rights)
  }

  #admission(view: ClientType, query: string, rights: LiveRights | undefined): Admission {
    const granted = rights?.topics
    const parameters = new URLSearchParams(query)
    const list = (parameters.get('subscriptions') ?? '').split(',').flatMap((each) => each.trim() || [])
    const { topics, bus, options } = this.#parts
    const isSilent = options.liveStart === 'none'
    const { added, unknown, denied, over } =
      list.length > 0
        ? topics.choose(list, [], isTopic, granted)
        : { added: isSilent ? [] : topics.start(view, granted), unknown: [], denied: [], over: false }
    const onBound = (connection: Connection) => {
      if (!isSilent)
        for (const each of greetings(connection, view, [...added].sort(), parameters)) this.#send(connection, each)
      if (over) this.#refuse(connection, 'too-many-subscriptions')
      if (unknown.length > 0) this.#refuse(connection, 'unknown-topic', listed(unknown))
      for (const each of denied) this.#refuse(connection, 'forbidden', each)
      topics.report({ denied })
    }
    return {
      kind: 'admission',
      subject: view,
      tokenKey: undefined,
      ...(this.#accepts && { accepts: this.#accepts }),
      source: this,
      redisChannel: liveBus(),
      topics: added.map(liveChannels),
      topicsRequired: false,
      ready: () => bus.listen(),
      ...(rights && { doorState: stateFor(rights) }),
      onBound,
    }
  }

  refusalAsClose({ status, code }: Refusal): Close | undefined {
    if (this.#parts.options.liveRefuse === 'http') return undefined
    if (code === 'origin-not-allowed') return closes.forbidden
    return code === 'token-rejected' || status.startsWith('401') ? closes.notAuthorised : undefined
  }

  opened(connection: Connection): void {
    this.#parts.retained?.greet(connection, connection.topics)
  }

  entered(topic: Topic, connection: Connection): void {
    this.#parts.retained?.entered(topic, connection)
  }

  /**
   * Returns one frame for all sockets that hold the topic. A message with recipients is enqueued
   * here, for those sockets only, and undefined is returned.
   */
  render(topic: Topic, payload: Buffer, channel: string): Buffer | undefined {
    const name = nameOf(topic)
    const message = messageFrom(name, channel, payload, this.#limits)
    if (message === undefined) this.#parts.unusable(name)
    else if (this.compression?.takes(message.frame.length)) measureCompressed(this.#counts, message.frame)
    const { types } = this.#parts.metrics.live
    if (message?.recipients === undefined) {
      if (message === undefined) return undefined
      types?.sent(message.frame, topic.members.length)
      heard(topic)
      return message.frame
    }
    const serials = new Set(message.recipients.map(serialOf))
    for (const member of topic.members.slice()) {
      if (!serials.has(member.serial)) continue
      member.active(clockMs())
      this.#send(member, message.frame)
    }
    return undefined
  }

  tooLarge(topic: Topic): void {
    for (const member of topic.members.slice()) this.#refuse(member, 'message-lost', nameOf(topic))
  }

  refused(topic: Topic): void {
    for (const member of topic.members.slice()) {
      this.#parts.bindings.leave(member, topic)
      this.#requests.forbidden(member, topic)
    }
  }

  receive(connection: Connection, bytes: Buffer): void {
    connection.active(connection.lastFrameAt)
    const parsed = parseClientFrame(bytes, this.#limits.maxDepth, this.#parts.options.liveUnknownType)
    this.#parts.metrics.live.types?.received(parsed.kind === 'error' ? 'other' : parsed.frame.type)
    if (parsed.kind === 'error') {
      const { code, message, correlationId, id } = parsed
      this.#counts.errorsSent++
      return this.#send(connection, errorFrame(code, message, correlationId, id))
    }
    const { frame } = parsed
    if (frame.type === 'ping') this.#send(connection, pongFrame(frame))
    else if (frame.type === 'request_data') void this.#data(connection, frame)
    else if (frame.type === 'auth') this.#renew(connection, frame)
    else if (frame.type === 'publish') void this.#publish(connection, { ...frame, data: parsed.data })
    else this.#requests.execute(connection, frame)
  }

  rateLimited(connection: Connection): void {
    this.#refuse(connection, 'rate-limited')
  }

  oversized(connection: Connection): void {
    this.#refuse(connection, 'message-too-large', `at most ${this.maxMessageBytes} bytes`)
  }

  goodbye({ reason, notice = reason, reconnect = false }: Close, reconnectAfterMs: number): Buffer {
    const comeBack = reconnect && { reconnect_after_ms: reconnectAfterMs }
    const frame = frameOf({ type: 'disconnect_notice', reason: notice, ...comeBack })
    this.#parts.metrics.live.types?.sent(frame, 1)
    return frame
  }

  expiring(expiresAt: number, leftMs: number): Buffer {
    const frame = frameOf({ type: 'auth_expiring', expires_at: new Date(expiresAt).toISOString(), in_ms: leftMs })
    this.#parts.metrics.live.types?.sent(frame, 1)
    return frame
  }

  closed({ closing }: Connection): void {
    if (closing === closes.tooSlow) this.#counts.backpressureDisconnects++
    if (closing === idleClose) this.#counts.idleDisconnects++
  }

  get #counts(): LiveCounts {
    return this.#parts.metrics.live.counts
  }

  #renew(connection: Connection, frame: Auth): void {
    const { renewals, bindings } = this.#parts
    renew(connection, frame, renewals, bindings, (answers) => {
      if (answers === undefined) this.#refuse(connection, 'auth-rejected', '', frame.correlation_id)
      for (const each of answers ?? []) this.#send(connection, each)
    })
  }

  async #data(connection: Connection, request: DataRequest): Promise<void> {
    // The page of a data type sums up several topics.
    if (!isGranted(grantedTo(connection), ANY)) return this.#refuse(connection, 'forbidden', shown(request.data_type))
    this.#send(connection, await dataFrame(this.#parts.status, request))
  }

  async #publish(connection: Connection, frame: PublishRequest & Publication): Promise<void> {
    const answer = await this.#parts.publisher.publish(stateOf(connection), frame)
    if ('code' in answer) this.#counts.errorsSent++
    this.#send(connection, publishFrame(answer, frame))
  }

  #refuse(connection: Connection, code: ErrorCode, about = '', correlationId?: string): void {
    this.#counts.errorsSent++
    this.#send(connection, errorFrame(code, messageOf(code, about), correlationId))
  }

  #send(connection: Connection, frame: Buffer): void {
    this.#parts.metrics.live.types?.sent(frame, 1)
    this.#parts.enqueue(connection, frame)
  }
}
