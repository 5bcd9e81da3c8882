import { base64url } from './address.ts'
import { finalCodes } from './codes.gen.ts'
import { reasonOf } from './events.ts'
import {
  ANSWER_MS,
  CREDENTIALS,
  DIAL_MS,
  FIRST_PAUSE_MS,
  LONGEST_TIMER_MS,
  MAX_PAUSE_MS,
  MAX_UNOPENED,
  PING,
  PLAIN_KEY,
  PLAIN_MS,
  PROTOCOL_ERROR,
  SILENCE_MS,
  STEADY_MS,
  WAKE_ANSWER_MS,
} from './limits.ts'
import type { LinkOptions, LinkOwner, State } from './link-owner.ts'
import { type KeyValueStore, type Socket, socketClass, storeOf, watchPage } from './platform.ts'

/**
 * Keeps one WebSocket open for as long as that makes sense: dials with a fresh token, waits as the
 * server says or with full jitter, notices a dead connection, and stops at a final close.
 */
export class Link {
  readonly #owner: LinkOwner
  readonly #options: LinkOptions
  readonly #unwatch: () => void
  #socket: Socket | undefined
  #state: State = { name: 'connecting' }
  /** Rises with each dial and each end, so that an answer to an older one is ignored. */
  #turn = 0
  #failures = 0
  #isOpen = false
  #openedAt = 0
  #heardAt = 0
  #hintMs: number | undefined
  #hasAskedAnew = false
  #isPaused = false
  /** The current dial brought the spare credential. */
  #hasUsedSpare = false
  /** Dials in a row that did not open. */
  #unopened = 0
  /** Keeps `#plainUntil`. */
  readonly #store: KeyValueStore | null | undefined
  /** Until then the fallback is dialled. */
  #plainUntil: number
  #timer: ReturnType<typeof setTimeout> | undefined
  /** The largest frame that the gateway takes, by its greeting. */
  declare maxBytes: number | undefined

  constructor(owner: LinkOwner, options: LinkOptions) {
    this.#owner = owner
    this.#options = options
    this.#store = storeOf(options.storage)
    this.#plainUntil = Number(this.#store?.getItem(PLAIN_KEY))
    this.#unwatch = watchPage(
      () => this.#wake(),
      (isCached) => {
        this.#owner.kept?.save()
        if (isCached) this.pause('page hidden')
      },
      () => this.resume(),
    )
    // The caller gets its object before the first event.
    queueMicrotask(() => this.#dial())
  }

  get state(): State {
    return this.#state
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  send(text: string): void {
    this.#socket?.send(text)
  }

  /** Why the gateway would end the connection for this frame; '' for one that it takes. */
  fault(text: string): string {
    const { length } = new TextEncoder().encode(text)
    return length > this.maxBytes! ? `${length} bytes, MAX_MESSAGE_SIZE is ${this.maxBytes}` : ''
  }

  /**
   * The token of this socket ends soon: sends a new one in `frame`. Without it the server closes
   * the socket, and the next dial asks again.
   */
  async renew(frame: object): Promise<void> {
    const turn = this.#turn
    try {
      // A token that is no function cannot be called: the socket ends with it.
      const token = await (this.#options.token as () => unknown)()
      if (turn === this.#turn) this.send(JSON.stringify({ ...frame, token }))
    } catch {}
  }

  /** The server has said how long to stay away after the close that follows. */
  hint(ms: number | undefined): void {
    if (typeof ms === 'number' && ms >= 0) this.#hintMs = Math.min(ms, LONGEST_TIMER_MS)
  }

  /** Ends for good. */
  close(code: number, reason: string): void {
    if (this.#state.name === 'closed') return
    this.#drop()
    this.#unwatch()
    this.#set({ name: 'closed', code, reason })
  }

  /** Leaves the network until `resume`. */
  pause(reason: string): void {
    if (this.#state.name === 'closed' || this.#isPaused) return
    this.#isPaused = true
    this.#drop()
    this.#set({ name: 'waiting', ms: 0, code: 1000, reason })
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#dial()
  }

  #set(state: State): void {
    this.#state = state
    this.#owner.state(state)
  }

  #after(ms: number, act: () => void): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(act, ms)
  }

  /** Forgets the socket. Its close event, which may come much later or never, is ignored. */
  #drop(): void {
    this.#turn++
    clearTimeout(this.#timer)
    const socket = this.#socket
    this.#socket = undefined
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null
      socket.close(1000)
    }
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#owner.lost?.()
  }

  async #credential(): Promise<string | undefined> {
    const { token } = this.#options
    const ticket = this.#owner.kept?.validTicket
    this.#hasUsedSpare = !!ticket
    if (ticket) return ticket
    if (typeof token !== 'function') return this.#spare() ?? token
    try {
      return await token()
    } catch (error) {
      const spare = this.#spare()
      if (!spare) throw error
      return spare
    }
  }

  #spare(): string | undefined {
    const spare = this.#owner.kept?.ticket
    this.#hasUsedSpare = !!spare
    return spare
  }

  async #dial(): Promise<void> {
    if (this.#state.name === 'closed') return
    const turn = ++this.#turn
    this.#hintMs = undefined
    this.#set({ name: 'connecting' })
    // A listener of that state may have called `close`.
    if (turn !== this.#turn) return
    this.#after(DIAL_MS, () => this.#failed(1006, 'no answer'))
    const protocols = [...this.#owner.protocols]
    try {
      const credential = await this.#credential()
      // A text that is too long for this throws, too.
      if (credential !== undefined) protocols.push(`bearer.${base64url(credential)}`)
    } catch (error) {
      if (turn === this.#turn) this.#failed(1006, `no token: ${reasonOf(error)}`)
      return
    }
    if (turn !== this.#turn) return
    const { fallback, url } = this.#owner
    const until = fallback ? this.#until() : 0
    try {
      const plain = until && (await import('./sse.ts').catch(() => {}))
      if (turn !== this.#turn) return
      // When the fallback does not open either, a WebSocket is next.
      if (until) this.#unopened = this.#plainUntil = 0
      const Class = plain ? plain[fallback!] : (this.#options.WebSocket ?? socketClass())
      this.#attach(new Class(url(), protocols), plain ? until : 0)
    } catch (error) {
      // A malformed address, or no WebSocket at all: the next dial would end the same way.
      this.close(4400, reasonOf(error))
    }
  }

  /** Until when the fallback is dialled, this dial included; 0 for a WebSocket. */
  #until(): number {
    const last = Date.now() + PLAIN_MS
    if (this.#unopened++ >= MAX_UNOPENED) return last
    // The clock may have been set back since then.
    return Date.now() < this.#plainUntil && this.#plainUntil <= last ? this.#plainUntil : 0
  }

  /** @param until that long the fallback is dialled again once a frame has come; 0: WebSocket. */
  #attach(socket: Socket, until: number): void {
    this.#socket = socket
    socket.binaryType = 'arraybuffer'
    socket.onopen = () => {
      this.#unopened = 0
      this.#owner.opened?.()
    }
    socket.onmessage = ({ data }) => {
      this.#heardAt = Date.now()
      if (!this.#isOpen) this.#admitted(until)
      try {
        this.#owner.received(typeof data === 'string' ? data : new Uint8Array(data as ArrayBuffer))
      } catch (error) {
        // An error thrown here ends a Node process, and what follows the frame cannot be trusted.
        this.#failed(PROTOCOL_ERROR, `unreadable frame: ${reasonOf(error)}`)
      }
      // After the greeting: a listener may send, and must not exceed the limit that it names.
      if (this.#socket === socket && this.#state.name !== 'open') this.#set({ name: 'open' })
    }
    socket.onclose = ({ code, reason }) => this.#failed(code, reason)
    // A close event follows each error, and it says more.
    socket.onerror = () => {}
  }

  /**
   * The first frame has come. An upgrade alone says nothing: a client that is refused is accepted
   * only to be closed with a code that it can read.
   */
  #admitted(until: number): void {
    this.#isOpen = true
    this.#openedAt = this.#heardAt
    this.#hasAskedAnew = false
    this.#plainUntil = until
    this.#listen()
    try {
      if (until) this.#store?.setItem(PLAIN_KEY, String(until))
      else this.#store?.removeItem(PLAIN_KEY)
    } catch {
      // The store is full or forbidden: a reload dials WebSockets first.
    }
  }

  /** Pings after a silence. One timer a socket, which is set again only when it has run out. */
  #listen(): void {
    this.#after(this.#heardAt + SILENCE_MS - Date.now(), () => {
      if (Date.now() - this.#heardAt < SILENCE_MS) this.#listen()
      else this.#probe(ANSWER_MS)
    })
  }

  #probe(answerMs: number): void {
    const askedAt = Date.now()
    this.send(PING)
    this.#after(answerMs, () => {
      if (this.#heardAt >= askedAt) this.#listen()
      else if (answerMs === WAKE_ANSWER_MS) this.#again()
      else this.#failed(1006, 'no answer')
    })
  }

  /**
   * A sleeping page misses its timers and its close events, so ask the network itself. When the
   * timers of a silence have not run, the gateway has given up this socket long ago.
   */
  #wake(): void {
    if (this.#isOpen && Date.now() - this.#heardAt > SILENCE_MS + ANSWER_MS) this.#again()
    else if (this.#isOpen) this.#probe(WAKE_ANSWER_MS)
    else if (this.#state.name === 'waiting' && !this.#isPaused && this.#hintMs === undefined) this.#dial()
  }

  /** Pages wake one by one, so there is nothing to spread. */
  #again(): void {
    this.#drop()
    this.#dial()
  }

  #failed(code: number, reason: string): void {
    const wasOpen = this.#isOpen
    this.#drop()
    if (wasOpen && Date.now() - this.#openedAt >= STEADY_MS) this.#failures = 0
    if (this.#isEnd(code)) return this.close(code, reason)
    this.hint(Number(/ retry=(\d+)$/.exec(reason)?.[1]))
    const limit = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures++)
    const ms = Math.round(this.#hintMs ?? Math.random() * limit)
    const turn = this.#turn
    this.#set({ name: 'waiting', ms, code, reason })
    if (turn === this.#turn) this.#after(ms, () => this.#dial())
  }

  /** After 4401 one new token is tried; the second refusal in a row is final. */
  #isEnd(code: number): boolean {
    if (code !== CREDENTIALS) return finalCodes.includes(code)
    if (this.#hasUsedSpare) {
      this.#owner.kept!.ticket = undefined
      // The token is still to be tried.
      return this.#options.token === undefined
    }
    const isEnd = this.#hasAskedAnew || (typeof this.#options.token !== 'function' && !this.#owner.kept?.ticket)
    this.#hasAskedAnew = true
    return isEnd
  }
}
