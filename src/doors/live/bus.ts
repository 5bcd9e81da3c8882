import type { Bindings, Source } from '../../connection/bind.ts'
import { isLiveAnswers, liveAnswers, liveBus } from '../../contract/names.ts'
import { RedisUnavailable } from '../../platform/unavailable.ts'
import { type BusCommand, commandIn } from './commands.ts'
import { newCorrelationId } from './frames.ts'

interface BusRequest {
  readonly id: string
  /** Channel of the instance that sent the request. */
  readonly answerTo: string
  readonly command: BusCommand
}

interface BusAnswer {
  readonly id: string
  /** Sockets of the answering instance that the command concerned. */
  readonly sockets: number
}

export interface BusParts {
  readonly instance: string
  readonly bindings: Bindings
  /** Whether the Redis server of the bus is ready, with all its channels. */
  readonly ready: () => boolean
  /** Resolves with the number of subscribers that received the message. @throws RedisUnavailable */
  readonly publish: (channel: string, message: string) => Promise<number>
  /** Executes a command on this instance; returns the number of sockets that it concerned. */
  readonly execute: (command: BusCommand) => number
  /** Called for a message on the bus that is neither a request nor an answer. */
  readonly unusable: () => void
}

/** How long an instance waits for the answers of the others, in ms. */
const ANSWER_MS = 1000
const MAX_ID = 128

interface Waiting {
  readonly what: BusCommand['what']
  /** Instances that received the request; undefined until Redis has answered the PUBLISH. */
  expected: number | undefined
  answers: number
  sockets: number
  readonly done: () => void
}

/**
 * All instances have answered, or the one with the socket has: a socket is on one instance only.
 */
const isSettled = ({ what, expected, answers, sockets }: Waiting): boolean =>
  (expected !== undefined && answers >= expected) || (what === 'disconnect' && sockets > 0)

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
    const { instance, bindings, publish, ready } = this.#parts
    if (!ready()) throw new RedisUnavailable('this instance does not receive its own commands')
    await bindings.keep(this, liveAnswers(instance))
    const id = newCorrelationId()
    const request: BusRequest = { id, answerTo: liveAnswers(instance), command }
    let timer: NodeJS.Timeout | undefined
    const answered = new Promise<void>((done) => {
      timer = setTimeout(done, ANSWER_MS)
      this.#waiting.set(id, { what: command.what, expected: undefined, answers: 0, sockets: 0, done })
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

  /** Takes a message on the bus: a request of any instance, or an answer to one of ours. */
  render(_: unknown, message: Buffer, channel: string): undefined {
    const fields = fieldsIn(message)
    const read = channel === liveBus() ? requestIn(fields) : answerIn(fields)
    if (read === undefined) this.#parts.unusable()
    else if ('command' in read) this.#execute(read)
    else this.#count(read)
  }

  #execute({ id, answerTo, command }: BusRequest): void {
    const answer: BusAnswer = { id, sockets: this.#parts.execute(command) }
    // The other instance stops waiting after a second, so a lost answer needs no retry.
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

/**
 * Every program that may publish to Redis can write here. So an answer goes only to channels that
 * are made for answers.
 */
function requestIn({ id, answerTo, command: value }: Fields): BusRequest | undefined {
  const command = commandIn(value)
  if (!isMessageId(id) || typeof answerTo !== 'string' || !isLiveAnswers(answerTo)) return undefined
  return command && { id, answerTo, command }
}

function answerIn({ id, sockets }: Fields): BusAnswer | undefined {
  const isCount = typeof sockets === 'number' && Number.isInteger(sockets) && sockets >= 0
  return isMessageId(id) && isCount ? { id, sockets } : undefined
}
