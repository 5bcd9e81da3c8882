import type { Bindings, Source } from '../../connection/bind.ts'
import { isLiveAnswers, liveAnswers, liveBus } from '../../contract/names.ts'
import { RedisUnavailable } from '../../platform/unavailable.ts'
import { newCorrelationId } from './frames.ts'
import { type BusCommand, commandIn } from './orders.ts'

interface BusRequest {
  readonly id: string
  /** Channel of the instance that asks. */
  readonly answerTo: string
  readonly order: BusCommand
}

interface BusAnswer {
  readonly id: string
  /** Sockets of the answering instance that the order concerned. */
  readonly sockets: number
}

export interface BusParts {
  readonly instance: string
  readonly bindings: Bindings
  /** Whether the Redis server of the bus is there with all its channels. */
  readonly ready: () => boolean
  /** Resolves with the number of subscribers that received the message. @throws RedisUnavailable */
  readonly publish: (channel: string, message: string) => Promise<number>
  /** Executes an order on this instance; returns the number of sockets that it concerned. */
  readonly execute: (order: BusCommand) => number
  /** A message on the bus was no request and no answer. */
  readonly unusable: () => void
}

/** How long an instance waits for the answers of the others, in ms. */
const ANSWER_MS = 1000
const MAX_ID = 128

interface Waiting {
  readonly what: BusCommand['what']
  expected: number | undefined
  answers: number
  sockets: number
  readonly done: () => void
}

/** All instances have answered, or the one with the socket has: a socket is on one instance only. */
const isSettled = ({ what, expected, answers, sockets }: Waiting): boolean =>
  (expected !== undefined && answers >= expected) || (what === 'disconnect' && sockets > 0)

/**
 * Orders to every instance of the gateway, through Redis. Each instance executes an order on its own live sockets and
 * answers with their number.
 */
export class LiveBus implements Source {
  readonly #parts: BusParts
  readonly #waiting = new Map<string, Waiting>()

  constructor(parts: BusParts) {
    this.#parts = parts
  }

  /**
   * Listens for orders. Resolves when Redis has confirmed the channel, at once when it had before.
   * @throws RedisUnavailable when Redis is away; it is listened to when Redis is back. Redis' own error when it refuses.
   */
  listen(): Promise<void> {
    return this.#parts.bindings.keep(this, liveBus())
  }

  /** Listens for orders from now on, or from when Redis is there. The feed logs a refusal of Redis. */
  start(): void {
    this.listen().catch(() => {})
  }

  /**
   * Has an order executed by every instance. Resolves with the number of sockets that it concerned, as far as it is
   * known within a second.
   * @throws RedisUnavailable when no instance has received the order.
   */
  async ask(order: BusCommand): Promise<number> {
    const { instance, bindings, publish, ready } = this.#parts
    if (!ready()) throw new RedisUnavailable('this instance does not hear its own orders')
    await bindings.keep(this, liveAnswers(instance))
    const id = newCorrelationId()
    const request: BusRequest = { id, answerTo: liveAnswers(instance), order }
    let timer: NodeJS.Timeout | undefined
    const answered = new Promise<void>((done) => {
      timer = setTimeout(done, ANSWER_MS)
      this.#waiting.set(id, { what: order.what, expected: undefined, answers: 0, sockets: 0, done })
    })
    const waiting = this.#waiting.get(id)!
    try {
      waiting.expected = await publish(liveBus(), JSON.stringify(request))
      if (!isSettled(waiting)) await answered
      return waiting.sockets
    } finally {
      clearTimeout(timer)
      this.#waiting.delete(id)
    }
  }

  /** A message on the bus: an order of any instance, or an answer to one of ours. It is no frame for a socket. */
  render(_: unknown, message: Buffer, channel: string): undefined {
    const fields = fieldsIn(message)
    const read = channel === liveBus() ? requestIn(fields) : answerIn(fields)
    if (read === undefined) this.#parts.unusable()
    else if ('order' in read) this.#execute(read)
    else this.#count(read)
  }

  #execute({ id, answerTo, order }: BusRequest): void {
    const answer: BusAnswer = { id, sockets: this.#parts.execute(order) }
    // The instance that asked stops waiting after a second, so a lost answer needs no retry.
    this.#parts.publish(answerTo, JSON.stringify(answer)).catch(() => {})
  }

  #count({ id, sockets }: BusAnswer): void {
    const waiting = this.#waiting.get(id)
    if (waiting === undefined) return
    waiting.answers++
    waiting.sockets += sockets
    if (isSettled(waiting)) waiting.done()
  }
}

type Fields = Readonly<Record<string, unknown>>

function fieldsIn(message: Buffer): Fields {
  try {
    return Object(JSON.parse(message.toString())) as Fields
  } catch {
    return {}
  }
}

const isMessageId = (value: unknown): value is string =>
  typeof value === 'string' && value.length > 0 && value.length <= MAX_ID

/** Anything that may publish to Redis can write here, so the answer goes to a channel for answers only. */
function requestIn({ id, answerTo, order }: Fields): BusRequest | undefined {
  const command = commandIn(order)
  if (!isMessageId(id) || typeof answerTo !== 'string' || !isLiveAnswers(answerTo)) return undefined
  return command && { id, answerTo, order: command }
}

function answerIn({ id, sockets }: Fields): BusAnswer | undefined {
  const isCount = typeof sockets === 'number' && Number.isInteger(sockets) && sockets >= 0
  return isMessageId(id) && isCount ? { id, sockets } : undefined
}
