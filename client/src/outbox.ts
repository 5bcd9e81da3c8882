import type { Link } from './link.ts'

const MAX_FRAMES = 1000
const MAX_CHARACTERS = 1024 * 1024
/** An answer that takes longer is given up: the gateway drops frames over its rate without one. */
const ACK_MS = 30_000

/**
 * Why a frame was not sent: `full` (too much waits already), `closed` (the connection has ended for
 * good), `refused` (the gateway did not publish it: `detail` is its code, or the size of a frame
 * that it would not take), or `uncertain` (the connection or Redis was lost before the answer: the
 * frame may have arrived).
 */
export class SendError extends Error {
  declare readonly code: 'full' | 'closed' | 'refused' | 'uncertain'
  declare readonly detail: string

  constructor(code: SendError['code'], detail: string) {
    super(`${code}: ${detail}`)
    this.name = 'SendError'
    this.code = code
    this.detail = detail
  }
}

interface Answer {
  readonly n: number
  readonly receivers?: number
  readonly error?: string
}

interface Waiting {
  readonly frame: string
  readonly resolve: (receivers: number) => void
  readonly reject: (error: SendError) => void
  timer?: ReturnType<typeof setTimeout>
}

/** The numbered frames of a client that have no answer yet, in order. */
export class Outbox {
  readonly #link: () => Link
  readonly #unsent = new Map<number, Waiting>()
  readonly #sent = new Map<number, Waiting>()
  #characters = 0
  #last = 0
  /** The gateway has said what it takes. */
  #isReady = false

  constructor(link: () => Link) {
    this.#link = link
  }

  /** Sends a frame now, or when the connection is open. Rejects with a SendError. */
  add(frame: string): Promise<number> {
    return new Promise((resolve, reject) => {
      const { state } = this.#link()
      if (state.name === 'closed') return reject(new SendError('closed', `${state.code} ${state.reason}`))
      const isFull = this.#unsent.size >= MAX_FRAMES || this.#characters + frame.length > MAX_CHARACTERS
      if (isFull && !this.#isReady) {
        return reject(new SendError('full', `${this.#unsent.size} frames wait`))
      }
      this.#unsent.set(++this.#last, { frame, resolve, reject })
      this.#characters += frame.length
      if (this.#isReady) this.flush()
    })
  }

  /** Sends what waits. */
  flush(): void {
    this.#isReady = true
    for (const [n, waiting] of this.#unsent) {
      const text = `${n} ${waiting.frame}`
      const fault = this.#link().fault(text)
      this.#sent.set(n, waiting)
      waiting.timer = setTimeout(() => this.#fail(n, new SendError('uncertain', 'no answer')), ACK_MS)
      if (fault) this.#fail(n, new SendError('refused', fault))
      else this.#link().send(text)
    }
    this.#unsent.clear()
    this.#characters = 0
  }

  /** The gateway has answered. */
  acked({ n, receivers, error }: Answer): void {
    if (error) this.#fail(n, new SendError(error === 'upstream-uncertain' ? 'uncertain' : 'refused', error))
    else this.#take(n)?.resolve(receivers ?? 0)
  }

  /** The connection is gone: no answer will come for the frames that were on their way. */
  lost(): void {
    this.#isReady = false
    for (const n of this.#sent.keys()) this.#fail(n, new SendError('uncertain', 'connection lost'))
  }

  /** Nothing will be sent any more. */
  closed(reason: string): void {
    for (const { reject } of this.#unsent.values()) reject(new SendError('closed', reason))
    this.#unsent.clear()
  }

  #take(n: number): Waiting | undefined {
    const waiting = this.#sent.get(n)
    clearTimeout(waiting?.timer)
    this.#sent.delete(n)
    return waiting
  }

  #fail(n: number, error: SendError): void {
    this.#take(n)?.reject(error)
  }
}
