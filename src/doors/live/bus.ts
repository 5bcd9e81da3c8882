import type { Bindings, Source } from '../../connection/bind.ts'
import { liveAnswers, liveBus } from '../../contract/names.ts'
import { RedisUnavailable } from '../../platform/unavailable.ts'
import { newCorrelationId } from './frames.ts'

/** What one instance asks of all. */
export type BusCommand =
  | {
      readonly what: 'broadcast'
      readonly topic: string
      readonly type: string
      /** JSON text. */
      readonly data: string
      readonly correlationId: string
    }
  | { readonly what: 'disconnect'; readonly connectionId: string; readonly reason: string }

interface BusRequest {
  readonly id: string
  readonly answerTo: string
  readonly order: BusCommand
}

interface BusAnswer {
  readonly id: string
  /** Sockets of the answering instance that it concerned. */
  readonly sockets: number
}

export interface BusParts {
  readonly instance: string
  readonly bindings: Bindings
  /** Whether messages of the bus come and go here. */
  readonly ready: () => boolean
  /** Resolves with the number of subscribers that got it. @throws RedisUnavailable */
  readonly publish: (channel: string, message: string) => Promise<number>
  /** Does it here; the number of sockets that it concerned. */
  readonly execute: (order: BusCommand) => number
  /** A message on the bus that is not of it. */
  readonly unusable: () => void
}

/** How long the answers of other instances are awaited. */
const ANSWER_MS = 1000

interface Waiting {
  readonly what: BusCommand['what']
  expected: number | undefined
  answers: number
  sockets: number
  readonly done: () => void
}

/** All have answered; or the socket is found, which is in one place only. */
const isSettled = ({ what, expected, answers, sockets }: Waiting): boolean =>
  (expected !== undefined && answers >= expected) || (what === 'disconnect' && sockets > 0)

/** Orders to every instance of the gateway that has live sockets, through Redis; each does its part and answers with the number of its sockets. */
export class LiveBus implements Source {
  readonly #parts: BusParts
  readonly #waiting = new Map<string, Waiting>()
  #listening: Promise<void> | undefined

  constructor(parts: BusParts) {
    this.#parts = parts
  }

  /**
   * Has an order carried out everywhere. Resolves with the number of sockets that it concerned, as far as it is known within a second.
   * @throws RedisUnavailable: then nobody has heard of it.
   */
  async ask(order: BusCommand): Promise<number> {
    const { instance, bindings, publish, ready } = this.#parts
    if (!ready()) throw new RedisUnavailable('this instance does not hear its own orders')
    this.#listening ??= bindings.keep(this, liveAnswers(instance))
    await this.#listening.catch((error: unknown) => {
      this.#listening = undefined
      throw error
    })
    const id = newCorrelationId()
    const question: BusRequest = { id, answerTo: liveAnswers(instance), order }
    let timer: NodeJS.Timeout | undefined
    const answered = new Promise<void>((done) => {
      timer = setTimeout(done, ANSWER_MS)
      this.#waiting.set(id, { what: order.what, expected: undefined, answers: 0, sockets: 0, done })
    })
    const waiting = this.#waiting.get(id)!
    try {
      waiting.expected = await publish(liveBus(), JSON.stringify(question))
      if (!isSettled(waiting)) await answered
      return waiting.sockets
    } finally {
      clearTimeout(timer)
      this.#waiting.delete(id)
    }
  }

  /** A message of the bus: a question of any instance, or an answer to one of ours. */
  render(_: unknown, message: Buffer, channel: string): undefined {
    try {
      if (channel === liveBus()) this.#question(JSON.parse(message.toString()) as BusRequest)
      else this.#answer(JSON.parse(message.toString()) as BusAnswer)
    } catch {
      this.#parts.unusable()
    }
  }

  #question({ id, answerTo, order }: BusRequest): void {
    const answer: BusAnswer = { id, sockets: this.#parts.execute(order) }
    this.#parts.publish(answerTo, JSON.stringify(answer)).catch(() => {})
  }

  #answer({ id, sockets }: BusAnswer): void {
    const waiting = this.#waiting.get(id)
    if (waiting === undefined) return
    waiting.answers++
    waiting.sockets += sockets
    if (isSettled(waiting)) waiting.done()
  }
}
