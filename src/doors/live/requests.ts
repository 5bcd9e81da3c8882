import type { Bindings, Source, Topic } from '../../connection/bind.ts'
import type { Connection } from '../../connection/connection.ts'
import type {
  RequestId,
  SubscribeList,
  SubscribeTopic,
  UnsubscribeList,
  UnsubscribeTopic,
} from '../../contract/live/types.gen.ts'
import { isTopic, liveChannels, topicOf } from '../../contract/names.ts'
import { errorFrame, frameOf, listed, messageOf, shown } from './frames.ts'
import type { LiveTopics } from './topics.ts'

export interface SubscriptionParts {
  readonly bindings: Bindings
  readonly source: Source
  readonly topics: LiveTopics
  readonly say: (connection: Connection, frame: Buffer) => void
  /** Runs work for a socket; a fault in it ends that socket and nothing else. */
  readonly guard: (connection: Connection, work: () => void) => void
  /** An error frame is made. */
  readonly refusing: () => void
}

type Request = SubscribeList | SubscribeTopic | UnsubscribeList | UnsubscribeTopic

/** The topics that a socket holds, sorted. */
const heldBy = ({ topics }: Connection): string[] => topics.map(({ channels }) => topicOf(channels[0]!)).sort()

/**
 * Both dialects of subscribing, on one engine. A topic is held from the moment it is asked for; its answer waits until Redis has confirmed, so that
 * nothing published after it is missed, or goes at once while Redis is away. Answers of a socket come in the order of its requests.
 */
export class Subscriptions {
  readonly #parts: SubscriptionParts
  /** Topics that Redis does not let us listen to. */
  readonly #forbidden = new WeakSet<Topic>()
  /** Sockets with answers that wait, and the last of them. */
  readonly #waiting = new Map<Connection, Promise<void>>()

  constructor(parts: SubscriptionParts) {
    this.#parts = parts
  }

  execute(connection: Connection, request: Request): void {
    if (request.type === 'subscribe') this.#add(connection, request)
    else this.#remove(connection, request)
  }

  /** Redis does not let us listen to a topic any more: who holds it is told, and holds it no longer. */
  refused(connection: Connection, topic: Topic): void {
    this.#forbidden.add(topic)
    if (this.#waiting.has(connection)) return
    this.#parts.refusing()
    this.#parts.say(connection, errorFrame('forbidden', messageOf('forbidden', topicOf(topic.channels[0]!))))
  }

  #add(connection: Connection, request: SubscribeList | SubscribeTopic): void {
    const { topics, bindings, source } = this.#parts
    const names = asked(request)
    // What is held already may yet be refused: somebody asked for it just before.
    const held = connection.topics.filter(({ channels }) => names.includes(topicOf(channels[0]!)))
    const { added, unknown, over } = topics.choose(names, heldBy(connection), isTopic)
    const forbidden: string[] = []
    const confirmed = added.map((topic) =>
      bindings.hold(connection, source, liveChannels(topic)).catch(() => void forbidden.push(topic)),
    )
    this.#answer(connection, confirmed, () => {
      for (const topic of held) if (this.#forbidden.has(topic)) forbidden.push(topicOf(topic.channels[0]!))
      const errors = [
        ...(over ? [this.#error(request, 'too-many-subscriptions', '')] : []),
        ...(unknown.length > 0 ? [this.#error(request, 'unknown-topic', listed(unknown))] : []),
        ...forbidden.map((topic) => this.#error(request, 'forbidden', topic)),
      ]
      if ('subscriptions' in request) return [...errors, updated(connection, request)]
      return errors.length > 0 ? errors : [settled('subscribed', request)]
    })
  }

  #remove(connection: Connection, request: UnsubscribeList | UnsubscribeTopic): void {
    const names = [...new Set(asked(request))]
    const unknown = this.#parts.topics.choose(names, [], isTopic).unknown
    for (const topic of connection.topics.slice())
      if (names.includes(topicOf(topic.channels[0]!))) this.#parts.bindings.leave(connection, topic)
    this.#answer(connection, [], () => {
      const errors = unknown.length > 0 ? [this.#error(request, 'unknown-topic', listed(unknown))] : []
      if ('subscriptions' in request) return [...errors, updated(connection, request)]
      return errors.length > 0 ? errors : [settled('unsubscribed', request)]
    })
  }

  #answer(connection: Connection, confirmed: Promise<unknown>[], frames: () => Buffer[]): void {
    const before = this.#waiting.get(connection)
    const say = () => {
      for (const frame of frames()) this.#parts.say(connection, frame)
    }
    if (before === undefined && confirmed.length === 0) return say()
    const answered = Promise.all([before, ...confirmed]).then(() => {
      if (this.#waiting.get(connection) === answered) this.#waiting.delete(connection)
      this.#parts.guard(connection, say)
    })
    this.#waiting.set(connection, answered)
  }

  #error(request: Request, code: 'too-many-subscriptions' | 'unknown-topic' | 'forbidden', about: string): Buffer {
    const id = 'subscriptions' in request ? undefined : request.id
    this.#parts.refusing()
    return errorFrame(code, messageOf(code, about), request.correlation_id, id)
  }
}

const asked = (request: Request): readonly string[] =>
  'subscriptions' in request ? request.subscriptions : [request.topic]

const updated = (connection: Connection, { correlation_id }: Request): Buffer =>
  frameOf({ type: 'subscription_updated', subscriptions: heldBy(connection) }, correlation_id)

const settled = (type: 'subscribed' | 'unsubscribed', request: SubscribeTopic | UnsubscribeTopic): Buffer => {
  const { topic, id, correlation_id }: { topic: string; id?: RequestId; correlation_id?: string } = request
  return frameOf({ type, topic: shown(topic), ...(id !== undefined && { id }) }, correlation_id)
}
