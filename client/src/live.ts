import { socketBase } from './address.ts'
import { contractMajor } from './codes.gen.ts'
import { callAll, Emitter, type Off } from './events.ts'
import { ANSWER_MS } from './limits.ts'
import { Link } from './link.ts'
import type { LinkOptions, State } from './link-owner.ts'
import type {
  ClientFrame,
  ConnectionEstablished,
  DataRequest,
  Envelope,
  ErrorFrame,
  Published,
  ServerFrame,
  TopicMessage,
} from './live.gen.ts'

/** Options of {@link live}. */
export interface LiveOptions extends LinkOptions {
  /** Where the live door lies, as `LIVE_PATH` of the gateway; by default `/live`. */
  readonly path?: string | undefined
}

/** What a live connection says. */
export interface LiveEvents {
  state: State
  /** An error frame that answers no call of this client, for instance `message-lost`. */
  error: ErrorFrame
  /**
   * The gateway speaks another major version of the contract than this client. What both know still
   * works; frames may be missing or look different.
   */
  version: { readonly gateway: string; readonly client: number }
  /** The connection is back. Messages of the pause do not come: read your data anew. */
  missed: { readonly topics: readonly string[] }
}

type Listener = (message: TopicMessage) => void

interface Asked {
  readonly resolve: (data: unknown) => void
  readonly reject: (error: Error) => void
  readonly timer: ReturnType<typeof setTimeout>
}

/** An error frame, or an error of this client that looks like one. */
type Failure = Pick<ErrorFrame, 'code' | 'message' | 'correlation_id'> & Partial<ErrorFrame>

/** One socket for many topics. See {@link live}. */
export class Live extends Emitter<LiveEvents> {
  readonly #link: Link
  readonly #topics = new Map<string, Set<Listener>>()
  readonly #asked = new Map<string, Asked>()
  #number = 0
  #wasOpen = false

  constructor(base: string | URL, options: LiveOptions = {}) {
    super()
    const url = `${socketBase(base)}${options.path ?? '/live'}`
    this.#link = new Link(
      {
        protocols: options.token === undefined ? [] : ['wsproxy.v1'],
        url: () => url,
        fallback: 'LiveEvents',
        received: (data) => this.#received(JSON.parse(String(data))),
        lost: () => this.#lost(),
        state: (state) => this.emit('state', state),
      },
      options,
    )
  }

  get state(): State {
    return this.#link.state
  }

  /**
   * Calls `listener` for each message of a topic. Any number may listen to one topic: the client
   * subscribes for the first and unsubscribes after the last. Returns a function that ends it.
   */
  subscribe(topic: string, listener: Listener): Off {
    const listeners = this.#topics.get(topic) ?? new Set()
    if (!listeners.size) {
      this.#topics.set(topic, listeners)
      this.#send({ type: 'subscribe', topic, id: topic })
    }
    // One function may listen twice, and each end takes one of the two.
    const own: Listener = (message) => listener(message)
    listeners.add(own)
    return () => {
      if (!listeners.delete(own) || listeners.size) return
      this.#topics.delete(topic)
      this.#send({ type: 'unsubscribe', topic, id: topic })
    }
  }

  /**
   * Asks the gateway for data, such as `agent_status`. Resolves with the `data` of the answer.
   * Rejects with the words of a `data_error`, after 10 s, or when the connection is lost.
   */
  request(data_type: DataRequest['data_type'], params?: DataRequest['params']): Promise<unknown> {
    const correlation_id = `r${++this.#number}`
    return this.#ask(correlation_id, { type: 'request_data', data_type, correlation_id, ...(params && { params }) })
  }

  /**
   * Publishes a change, which the gateway does once for each `correlation_id`. Resolves with its
   * answer. Rejects like `request`; the error has the `code` and the time (`at`) of an error frame,
   * where one came. An envelope over MAX_MESSAGE_SIZE of the gateway is not sent: the error has the
   * code `message-too-large`.
   */
  publish(topic: string, envelope: Envelope): Promise<Published> {
    return this.#ask(envelope.correlation_id, { type: 'publish', topic, envelope }) as Promise<Published>
  }

  #ask(id: string, frame: ClientFrame): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (!this.#link.isOpen) return reject(new Error('not connected'))
      // The gateway answers an id once, so an earlier call with this id gets no answer of its own.
      this.#refuse(id, 'asked again')
      const timer = setTimeout(() => this.#refuse(id, 'no answer'), ANSWER_MS)
      this.#asked.set(id, { resolve, reject, timer })
      const text = JSON.stringify(frame)
      const fault = this.#link.fault(text)
      if (fault) this.#failed({ code: 'message-too-large', message: fault, correlation_id: id })
      else this.#link.send(text)
    })
  }

  close(): void {
    this.#link.close(1000, 'closed by the client')
  }

  /** What is not sent now is sent by the next greeting: the topics are known. */
  #send(frame: ClientFrame): void {
    if (this.#link.isOpen) this.#link.send(JSON.stringify(frame))
  }

  #take(id: string | undefined): Asked | undefined {
    const asked = this.#asked.get(id!)
    clearTimeout(asked?.timer)
    this.#asked.delete(id!)
    return asked
  }

  #refuse(id: string, why: string): void {
    this.#take(id)?.reject(new Error(why))
  }

  #lost(): void {
    for (const id of this.#asked.keys()) this.#refuse(id, 'connection lost')
  }

  #received(frame: ServerFrame): void {
    if ('subscription' in frame) return callAll(this.#topics.get(frame.subscription), frame)
    if (frame.type === 'connection_established') this.#greeted(frame)
    else if (frame.type === 'data_response') this.#take(frame.correlation_id)?.resolve(frame.data)
    else if (frame.type === 'published') this.#take(frame.correlation_id)?.resolve(frame)
    else if (frame.type === 'data_error') this.#refuse(frame.correlation_id, frame.error)
    else if (frame.type === 'error') this.#failed(frame)
    else if (frame.type === 'auth_expiring') this.#link.renew({ type: 'auth' })
    else if (frame.type === 'unsubscribed' && frame.reason) {
      // The new token of this socket does not grant the topic.
      this.#failed({ ...frame, type: 'error', code: 'forbidden', message: `Not allowed: ${frame.topic}` })
    } else if (frame.type === 'disconnect_notice') this.#link.hint(frame.reconnect_after_ms)
  }

  #failed(frame: Failure): void {
    const asked = this.#take(frame.correlation_id)
    if (asked) asked.reject(Object.assign(new Error(frame.message), { code: frame.code, at: frame.timestamp }))
    else this.emit('error', frame as ErrorFrame)
  }

  #greeted({ contract_version, subscriptions, max_inbound_message_bytes: max }: ConnectionEstablished): void {
    this.#link.maxBytes = max
    if (!contract_version.startsWith(`${contractMajor}.`)) {
      this.emit('version', { gateway: contract_version, client: contractMajor })
    }
    const topics = [...this.#topics.keys()]
    // The path may start with topics without a listener here.
    const unasked = subscriptions.filter((topic) => !this.#topics.has(topic))
    if (unasked.length) this.#send({ type: 'unsubscribe', subscriptions: unasked })
    for (const topic of topics) this.#send({ type: 'subscribe', topic, id: topic })
    if (this.#wasOpen) this.emit('missed', { topics })
    this.#wasOpen = true
  }
}

/** Opens a live connection. Topics are added by {@link Live.subscribe}. */
export const live = (base: string | URL, options?: LiveOptions): Live => new Live(base, options)
