import { segment, socketBase } from './address.ts'
import { Emitter } from './events.ts'
import { numbered } from './frames.ts'
import { Kept } from './kept.ts'
import { MAX_UNREAD } from './limits.ts'
import { Link } from './link.ts'
import type { LinkOptions, State } from './link-owner.ts'
import { Outbox } from './outbox.ts'
import { storeOf } from './platform.ts'

/** Options of {@link session}. */
export interface SessionOptions extends LinkOptions {
  /** The agent's id: the first segment of the path. */
  readonly agent: string
  /** The session's id. */
  readonly id: string
  /**
   * Where a session without a kept cursor begins: with messages from `now` on (the default), with
   * all that the log keeps (`start`), or behind a cursor `<epoch>.<offset>`.
   */
  readonly from?: 'now' | 'start' | (string & {}) | undefined
  /**
   * Keeps cursor, resume ticket and the choice of a transport over a reload of the page; by default
   * `sessionStorage`, where the platform has it. `null` keeps nothing. A page that shows earlier
   * messages and does not store them itself passes `null`, and `from: 'start'`.
   */
  readonly storage?: LinkOptions['storage']
}

/** One message of the agent. */
export interface Message {
  /** The payload as JSON; the text itself where it is not JSON; bytes where it is not text. */
  // biome-ignore lint/suspicious/noExplicitAny: only the agent and the page know its shape.
  readonly data: any
  /** Its number in the log; undefined where the agent keeps none. */
  readonly offset?: number
}

/** Messages that will not come. */
export interface Gap {
  /** A reason of the protocol, such as `trimmed`, `epoch` or `slow_client`, or `unknown`. */
  readonly reason: string
  /** First and last missing number, or the moments between which messages may be missing. */
  readonly from?: number | string
  readonly to?: number | string
}

/** What a session says. */
export interface SessionEvents {
  message: Message
  gap: Gap
  state: State
  /** An error frame of the gateway, for instance `rate-limited`. */
  error: { readonly code: string; readonly message: string }
}

/** A frame of the gateway itself; each command has some of these. */
interface Control {
  readonly type: string
  readonly command?: string
  readonly code: string
  readonly message: string
  readonly ticket?: string
  readonly expires_in_ms?: number
  readonly reason?: string
  readonly from?: number | string
  readonly to?: number | string
  readonly grade: string
  readonly epoch: string
  readonly offset: number
  readonly recovered?: boolean
  readonly reconnect_after_ms: number
  readonly n: number
  readonly receivers?: number
  readonly error?: string
  readonly max_inbound_message_bytes?: number
}

/** A resumable connection to one session of an agent. See {@link session}. */
export class Session extends Emitter<SessionEvents> implements AsyncIterable<Message> {
  readonly #link: Link
  readonly #outbox = new Outbox(() => this.#link)
  readonly #kept: Kept
  #epoch: string | undefined
  /** The number of the newest message that has arrived: the next dial begins behind it. */
  #arrived: number
  /** The moment at which an unlogged session lost its connection. */
  #lostAt: string | undefined
  #readers = 0
  readonly #unread: [Message, string | undefined][] = []
  /** Wakes the loops that wait for a message. */
  #waiters: (() => void)[] = []

  constructor(base: string | URL, options: SessionOptions) {
    super()
    const { agent, id, from, storage } = options
    const address = socketBase(base)
    const url = `${address}/${segment('agent', agent)}/ws/${segment('id', id)}`
    this.#kept = new Kept(storeOf(storage), `wsproxy ${address} ${agent} ${id}`)
    ;[this.#epoch, this.#arrived] = this.#kept.restore()
    this.#link = new Link(
      {
        protocols: ['wsproxy.v2'],
        url: () => url + this.#query(from),
        fallback: 'SessionEvents',
        kept: this.#kept,
        received: (data) => this.#received(data),
        lost: () => this.#lost(),
        state: (state) => this.#stateChanged(state),
      },
      options,
    )
  }

  get state(): State {
    return this.#link.state
  }

  /** `<epoch>.<offset>` of the newest message that was dealt with; undefined without a log. */
  get cursor(): string | undefined {
    return this.#kept.cursor
  }

  /**
   * Publishes a value as JSON for the agent. Resolves with the number of programs that listened,
   * which is 0 when no agent did. Rejects with a SendError.
   */
  send(value: unknown): Promise<number> {
    return this.#outbox.add(JSON.stringify(value))
  }

  /** Asks the agent to stop its run, wherever it runs. It finds this even when it was away. */
  cancel(run?: string): Promise<number> {
    return this.send({ type: 'control', command: 'cancel', run })
  }

  /** Ends for good, and forgets the kept cursor unless `keep` is true. */
  close({ keep = false } = {}): void {
    if (!keep) this.#kept.forget()
    this.#link.close(1000, 'closed by the client')
  }

  /** Reads messages until the stream has ended. Leaving the loop does not close the session. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Message> {
    this.#readers++
    try {
      for (;;) {
        const next = this.#unread.shift()
        if (next) {
          yield next[0]
          this.#deal(next[1])
          this.#resume()
        } else if (this.#link.state.name === 'closed') return
        else await new Promise<void>((resolve) => this.#waiters.push(resolve))
      }
    } finally {
      this.#readers--
      // A loop that is left at the last message must not leave the session off the network.
      this.#resume()
    }
  }

  #resume(): void {
    if (!this.#unread.length) this.#link.resume()
  }

  #wake(): void {
    for (const wake of this.#waiters.splice(0)) wake()
  }

  #query(from: SessionOptions['from']): string {
    const cursor = this.#epoch ? `${this.#epoch}.${this.#arrived}` : from === 'start' ? '-1' : from
    return !cursor || cursor === 'now' ? '' : `?cursor=${encodeURIComponent(cursor)}&else=oldest`
  }

  #stateChanged(state: State): void {
    if (state.name === 'closed') {
      this.#outbox.closed(`${state.code} ${state.reason}`)
      this.#kept.save()
      this.#wake()
    }
    this.emit('state', state)
  }

  #lost(): void {
    this.#outbox.lost()
    if (!this.#epoch) this.#lostAt = new Date().toISOString()
  }

  #received(data: string | Uint8Array): void {
    if (typeof data === 'string' && data.startsWith('{')) return this.#control(JSON.parse(data))
    const { offset, payload } = numbered(data)
    if (offset === undefined) return this.#hand({ data: payload })
    if (!this.#epoch) throw new Error('a number came without a position')
    this.#arrived = offset
    this.#hand({ data: payload, offset }, `${this.#epoch}.${offset}`)
  }

  /** Messages wait for a loop, unless the page listens to the event and reads no loop. */
  #hand(message: Message, cursor?: string): void {
    const isEventOnly = !this.#readers && this.has('message')
    if (!isEventOnly) this.#wait(message, cursor)
    this.emit('message', message)
    if (isEventOnly) this.#deal(cursor)
  }

  #wait(message: Message, cursor: string | undefined): void {
    this.#unread.push([message, cursor])
    this.#wake()
    if (this.#unread.length < MAX_UNREAD) return
    if (this.#epoch) return this.#link.pause('the reader is behind')
    this.#unread.shift()
    this.#gap('slow_client')
  }

  #deal(cursor: string | undefined): void {
    if (cursor) this.#kept.move(cursor)
  }

  #control(frame: Control): void {
    if (frame.ticket) this.#kept.renew(frame.ticket, frame.expires_in_ms)
    if (frame.type === 'error') return this.emit('error', { code: frame.code, message: frame.message })
    if (frame.command === 'position') this.#position(frame)
    else if (frame.command === 'ack') this.#outbox.acked(frame)
    else if (frame.command === 'goodbye') this.#link.hint(frame.reconnect_after_ms)
    else if (frame.command === 'auth_expiring') this.#link.renew({ type: 'control', command: 'auth' })
    else if (frame.command === 'gap') this.#gap(frame.reason, frame.from, frame.to)
  }

  #position({ grade, epoch, offset, recovered, reason, max_inbound_message_bytes: max }: Control): void {
    if (max) this.#link.maxBytes = max
    if (grade === 'none') {
      // Without a log the messages of the pause are lost, and only the client knows when it was.
      if (this.#lostAt) this.#gap(reason ?? 'window', this.#lostAt, new Date().toISOString())
      else if (recovered === false) this.#gap(reason)
      this.#epoch = undefined
    } else {
      if (typeof epoch !== 'string' || !Number.isSafeInteger(offset))
        throw new Error('a position came without a cursor')
      // A gap frame with the numbers follows where they are known.
      const isNumbered = epoch === this.#epoch && this.#arrived < offset
      if (recovered === false && !isNumbered) this.#gap(reason)
      this.#epoch = epoch
      this.#arrived = offset
      if (!this.#unread.length) this.#deal(`${epoch}.${offset}`)
    }
    this.#lostAt = undefined
    this.#outbox.flush()
  }

  #gap(reason: string | undefined, from?: number | string, to?: number | string): void {
    if (typeof to === 'number') this.#arrived = to
    // By way of JSON, which leaves out what is undefined.
    this.emit('gap', JSON.parse(JSON.stringify({ reason: reason ?? 'unknown', from, to })))
  }
}

/**
 * Opens a session of an agent and keeps it open over lost networks, deploys and reloads of the
 * page. `base` is the address of the gateway (`wss://gw.example.org`). Read it with `for await`, or listen
 * to its events. The gateway must speak `wsproxy.v2`.
 */
export const session = (base: string | URL, options: SessionOptions): Session => new Session(base, options)
