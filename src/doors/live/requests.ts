import type { Bindings, Source, Topic } from '../../connection/bind.ts'
import type { Connection } from '../../connection/connection.ts'
import type {
  RequestId,
  SubscribeList,
  SubscribeTopic,
  UnsubscribeList,
  UnsubscribeTopic,
} from '../../contract/live/types.gen.ts'
import { isTopic, liveChannels } from '../../contract/names.ts'
import { errorFrame, frameOf, listed, messageOf, shown } from './frames.ts'
import { grantedTo, isGranted, type LiveTopics, nameOf } from './topics.ts'

export interface RequestParts {
  readonly bindings: Bindings
  readonly source: Source
  readonly topics: LiveTopics
  readonly send: (connection: Connection, frame: Buffer) => void
  /** Runs work for a socket; an error in it ends that socket and nothing else. */
  readonly guard: (connection: Connection, work: () => void) => void
  /** Redis has confirmed topics that a socket has joined, and the answer to it has gone out. */
  readonly confirmed: (connection: Connection, joined: readonly Topic[]) => void
  /** Counts an error frame. */
  readonly countError: () => void
}

type Request = SubscribeList | SubscribeTopic | UnsubscribeList | UnsubscribeTopic

/** The names of the topics that a socket holds, sorted. */
const heldBy = ({ topics }: Connection): string[] => topics.map(nameOf).sort()

/**
 * Executes subscribe and unsubscribe, in both dialects. A socket holds a topic from the moment it
 * asks for it. The answer waits until Redis has confirmed the topic, so that the client misses
 * nothing that is published after the answer. While Redis is away the answer goes at once. The
 * answers of a socket come in the order of its requests.
 */
export class SubscriptionRequests {
  readonly #parts: RequestParts
  /** Topics that Redis does not let the gateway listen to. */
  readonly #forbidden = new WeakSet<Topic>()
  /** The newest answer that still waits, by socket. */
  readonly #waiting = new Map<Connection, Promise<void>>()

  constructor(parts: RequestParts) {
    this.#parts = parts
  }

  execute(connection: Connection, request: Request): void {
    if (request.type === 'subscribe') this.#add(connection, request)
    else this.#remove(connection, request)
  }

  /**
   * Redis forbids a topic that the socket held; the socket has left it. A request that waits for
   * this topic answers by itself, so an error frame goes out only when no request waits.
   */
  forbidden(connection: Connection, topic: Topic): void {
    this.#forbidden.add(topic)
    if (this.#waiting.has(connection)) return
    this.#parts.countError()
    this.#parts.send(connection, errorFrame('forbidden', messageOf('forbidden', nameOf(topic))))
  }

  #add(connection: Connection, request: SubscribeList | SubscribeTopic): void {
    const { topics, bindings, source } = this.#parts
    const names = namesIn(request)
    // Redis may still forbid a topic that an earlier request of this socket has subscribed.
    const held = topicsIn(connection, names)
    const { added, unknown, denied, over } = topics.choose(names, heldBy(connection), isTopic, grantedTo(connection))
    topics.report({ denied })
    const forbidden: string[] = [...denied]
    const confirmed = added.map((name) =>
      bindings.hold(connection, source, liveChannels(name)).catch(() => void forbidden.push(name)),
    )
    this.#answer(
      connection,
      confirmed,
      () => {
        for (const topic of held) if (this.#forbidden.has(topic)) forbidden.push(nameOf(topic))
        // A new JWT may have taken it away meanwhile.
        forbidden.push(...added.filter((name) => !isGranted(grantedTo(connection), name)))
        const errors = [
          ...(over ? [this.#error(request, 'too-many-subscriptions', '')] : []),
          ...(unknown.length > 0 ? [this.#error(request, 'unknown-topic', listed(unknown))] : []),
          ...forbidden.map((name) => this.#error(request, 'forbidden', name)),
        ]
        if (!isOfTopic(request)) return [...errors, updated(connection, request)]
        return errors.length > 0 ? errors : [settled('subscribed', request)]
      },
      added,
    )
  }

  #remove(connection: Connection, request: UnsubscribeList | UnsubscribeTopic): void {
    const names = [...new Set(namesIn(request))]
    const { unknown } = this.#parts.topics.choose(names, [], isTopic)
    for (const topic of connection.topics.slice())
      if (names.includes(nameOf(topic))) this.#parts.bindings.leave(connection, topic)
    this.#answer(connection, [], () => {
      const errors = unknown.length > 0 ? [this.#error(request, 'unknown-topic', listed(unknown))] : []
      if (!isOfTopic(request)) return [...errors, updated(connection, request)]
      return errors.length > 0 ? errors : [settled('unsubscribed', request)]
    })
  }

  /**
   * Sends the frames once Redis has confirmed the topics and the previous answer has gone out.
   * @param joined the names of the topics that the socket has joined with this request.
   */
  #answer(
    connection: Connection,
    confirmed: Promise<unknown>[],
    frames: () => Buffer[],
    joined: readonly string[] = [],
  ): void {
    const before = this.#waiting.get(connection)
    const send = () => {
      for (const frame of frames()) this.#parts.send(connection, frame)
      if (joined.length > 0) this.#parts.confirmed(connection, topicsIn(connection, joined))
    }
    if (before === undefined && confirmed.length === 0) return send()
    const answered = Promise.all([before, ...confirmed]).then(() => {
      if (this.#waiting.get(connection) === answered) this.#waiting.delete(connection)
      this.#parts.guard(connection, send)
    })
    this.#waiting.set(connection, answered)
  }

  #error(request: Request, code: 'too-many-subscriptions' | 'unknown-topic' | 'forbidden', about: string): Buffer {
    const id = isOfTopic(request) ? request.id : undefined
    this.#parts.countError()
    return errorFrame(code, messageOf(code, about), request.correlation_id, id)
  }
}

/** The topics of a socket with these names. */
const topicsIn = ({ topics }: Connection, names: readonly string[]): Topic[] =>
  topics.filter((topic) => names.includes(nameOf(topic)))

/** Whether the request names one topic, and no list. */
const isOfTopic = (request: Request): request is SubscribeTopic | UnsubscribeTopic =>
  'topic' in request && !('subscriptions' in request)

const namesIn = (request: Request): readonly string[] =>
  isOfTopic(request) ? [request.topic] : (request.subscriptions ?? [])

const updated = (connection: Connection, { correlation_id }: Request): Buffer =>
  frameOf({ type: 'subscription_updated', subscriptions: heldBy(connection) }, correlation_id)

const settled = (type: 'subscribed' | 'unsubscribed', request: SubscribeTopic | UnsubscribeTopic): Buffer => {
  const { topic, id, correlation_id }: { topic: string; id?: RequestId; correlation_id?: string } = request
  return frameOf({ type, topic: shown(topic), ...(id !== undefined && { id }) }, correlation_id)
}
