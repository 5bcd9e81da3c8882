import type { Bindings, Source } from '../../connection/bind.ts'
import { liveAnswers, liveBus } from '../../contract/names.ts'
import type { FleetAnswer } from '../../http/order.ts'
import { RedisUnavailable } from '../../platform/unavailable.ts'
import { type BusCommand, commandIn } from './commands.ts'
import type { BusSignature, Opened } from './signature.ts'

/** What an instance says about one order, on the channel of the instance that sent it. */
interface BusAnswer {
  /** The nonce of the order. */
  readonly id: string
  /** Sockets of the answering instance that the order concerned. */
  readonly sockets: number
}

export interface BusParts {
  readonly instance: string
  readonly signature: BusSignature
  readonly bindings: Bindings
  /** Whether the Redis server of the bus is ready, with all its channels. */
  readonly ready: () => boolean
  /** Resolves with the number of subscribers that received the message. @throws RedisUnavailable */
  readonly publish: (channel: string, message: string) => Promise<number>
  /** Executes a command on this instance; returns the number of sockets that it concerned. */
  readonly execute: (command: BusCommand) => number
  /** Whether PUBLISH returns the number of all instances. In a cluster it counts one node. */
  readonly countsAll: boolean
  /** Called for a message on the bus that is not executed or counted. */
  readonly unusable: (why: string) => void
}

/** How long an instance waits for the answers of the others, in ms. */
const ANSWER_MS = 1000
const MAX_ID = 128

interface Waiting {
  readonly what: BusCommand['what']
  /** Instances that received the request; undefined until Redis has said it, or when it cannot. */
  expected: number | undefined
  /** The instances that have answered: a second answer of one counts nothing. */
  readonly answers: Set<string>
  sockets: number
  readonly done: () => void
}

/**
 * All instances have answered, or the one with the socket has: a socket is on one instance only.
 */
const isSettled = ({ what, expected, answers, sockets }: Waiting): boolean =>
  (expected !== undefined && answers.size >= expected) || (what === 'disconnect' && sockets > 0)

/**
 * Sends commands to every instance of the gateway, through Redis. Each instance executes a command
 * on its own live sockets and answers with their number.
 */
export class LiveBus implements Source {
  readonly #parts: BusParts
  readonly #waiting = new Map<string, Waiting>()

  constructor(parts: BusParts) {
    this.#parts = parts
  }

  /**
   * Listens for commands. Resolves when Redis has confirmed the channel.
   * @throws RedisUnavailable when Redis is away; the feed then subscribes the channel once Redis is
   * back. Throws Redis' own error when Redis forbids the channel.
   */
  listen(): Promise<void> {
    return this.#parts.bindings.keep(this, liveBus())
  }

  /** Listens for commands, and leaves a failure to the feed, which logs it. */
  start(): void {
    this.listen().catch(() => {})
  }

  /**
   * Has every instance execute a command. Resolves with the number of sockets that it concerned, as
   * far as the instances have answered within a second.
   * @throws RedisUnavailable when the command was not published.
   */
  async request(command: BusCommand): Promise<number> {
    return (await this.ask(command)).sockets
  }

  /** As `request`, with the number of instances that have answered and of those that were asked. */
  async ask(command: BusCommand): Promise<FleetAnswer> {
    const { countsAll, instance, bindings, publish, ready, signature } = this.#parts
    const { text, nonce: id } = signature.sign(liveBus(), command)
    if (!ready()) throw new RedisUnavailable('this instance does not receive its own commands')
    await bindings.keep(this, liveAnswers(instance))
    let timer: NodeJS.Timeout | undefined
    const answered = new Promise<void>((done) => {
      timer = setTimeout(done, ANSWER_MS)
      this.#waiting.set(id, { what: command.what, expected: undefined, answers: new Set(), sockets: 0, done })
    })
    const waiting = this.#waiting.get(id)!
    try {
      const received = await publish(liveBus(), text)
      if (countsAll) waiting.expected = received
      if (!isSettled(waiting)) await answered
      return { sockets: waiting.sockets, instances: waiting.answers.size, expected: waiting.expected }
    } finally {
      clearTimeout(timer)
      this.#waiting.delete(id)
    }
  }

  /**
   * Takes a message on the bus: an order of any instance, or an answer to one of ours. Every program
   * that may publish to Redis can write here, so only a signed message of a known shape counts.
   */
  render(_: unknown, message: Buffer, channel: string): undefined {
    const opened = this.#parts.signature.open(channel, message)
    if (opened.kind === 'rejected') this.#parts.unusable(opened.why)
    else if (channel === liveBus()) this.#order(opened)
    else this.#answer(opened)
  }

  #order({ from, nonce, body }: Opened): void {
    const command = commandIn(body)
    if (command === undefined) this.#parts.unusable('no such order')
    else this.#execute(nonce, from, command)
  }

  #answer({ from, body }: Opened): void {
    const answer = answerIn(body)
    if (answer === undefined) this.#parts.unusable('no such answer')
    else this.#count(from, answer)
  }

  /** An answer goes only to the channel for answers of the instance that has signed the order. */
  #execute(id: string, from: string, command: BusCommand): void {
    const { execute, publish, signature } = this.#parts
    const answer: BusAnswer = { id, sockets: execute(command) }
    // The other instance stops waiting after a second, so a lost answer needs no retry.
    const channel = liveAnswers(from)
    publish(channel, signature.sign(channel, answer).text).catch(() => {})
  }

  #count(from: string, { id, sockets }: BusAnswer): void {
    const waiting = this.#waiting.get(id)
    if (waiting === undefined || waiting.answers.has(from)) return
    waiting.answers.add(from)
    waiting.sockets += sockets
    if (isSettled(waiting)) waiting.done()
  }
}

function answerIn(value: unknown): BusAnswer | undefined {
  const { id, sockets } = Object(value) as Record<string, unknown>
  const isCount = typeof sockets === 'number' && Number.isInteger(sockets) && sockets >= 0
  return typeof id === 'string' && id.length > 0 && id.length <= MAX_ID && isCount ? { id, sockets } : undefined
}
