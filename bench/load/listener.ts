/**
 * A raw subscriber of Redis to all that clients publish. Counts messages and checks their order and
 * latency.
 */
import { connect } from 'node:net'
import { sessionUp } from '../../src/contract/names.ts'
import { nowUs, sleep } from './clock.ts'
import { command } from './command.ts'
import { upstreamMessage } from './dialects.ts'
import type { Latency } from './latencies.ts'
import { blankPayload, PAYLOAD_BYTES, shapeOf } from './payload.ts'
import { SESSION_DIGITS, sessionId } from './sessions.ts'
import { Tally } from './tally.ts'
import { collectGarbage, Usage, type Used } from './usage.ts'

const CHECK_MS = 2

export interface Heard extends Used {
  /** All messages since the start. */
  count: number
  outOfOrder: number
  /** Messages on the channel of another session than the client's. */
  astray: number
  lastArrivalUs: number
  latencyMs: Latency
}

export class Listener {
  readonly #tally = new Tally()
  readonly #usage = new Usage()
  /** The next sequence number of each session. */
  #due = new Float64Array(0)
  #rest: Buffer = Buffer.alloc(0)
  #fault: string | undefined

  async open({ redisPort, sessions }: { redisPort: number; sessions: number }): Promise<void> {
    this.#due = new Float64Array(sessions)
    const socket = connect({ host: '127.0.0.1', port: redisPort, noDelay: true })
    socket.write(command('PSUBSCRIBE', sessionUp('*')))
    await new Promise((resolve, reject) => socket.once('data', resolve).once('error', reject))
    socket.on('data', (bytes: Buffer) => this.#read(bytes))
  }

  restart(): void {
    this.#tally.restart()
    collectGarbage()
    this.#usage.restart()
  }

  /** Throws when anything but messages of the bench arrived. */
  async heard({ count, quietMs }: { count: number; quietMs: number }): Promise<Heard> {
    let [seen, seenUs] = [this.#tally.delivered, nowUs()]
    while (seen < count && nowUs() - seenUs < quietMs * 1000) {
      await sleep(CHECK_MS)
      if (this.#tally.delivered !== seen) [seen, seenUs] = [this.#tally.delivered, nowUs()]
    }
    if (this.#fault) throw new Error(this.#fault)
    const { delivered, outOfOrder, astray, lastArrivalUs } = this.#tally
    const counts = { count: delivered, outOfOrder, astray, lastArrivalUs }
    return { ...counts, latencyMs: this.#tally.latencyMs(), ...this.#usage.used() }
  }

  /** All messages have the same length, so the next one starts this many bytes later. */
  #read(bytes: Buffer): void {
    const arrivedUs = nowUs()
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes])
    let at = 0
    for (; all.length - at >= SHAPE.length; at += SHAPE.length) this.#message(all, at, arrivedUs)
    this.#rest = all.subarray(at)
  }

  #message(bytes: Buffer, start: number, arrivedUs: number): void {
    const session = Number(bytes.toString('latin1', start + SESSION_AT, start + SESSION_AT + SESSION_DIGITS))
    const due = this.#due[session]
    if (due === undefined || bytes[start] !== ARRAY) {
      this.#fault ??= `not a message of the bench: ${bytes.toString('latin1', start, start + SHAPE.length)}`
      return
    }
    this.#due[session] = this.#tally.count(bytes, start + PAYLOAD_AT, PAYLOAD_BYTES, due, arrivedUs, session)
  }
}

const ARRAY = 42 // *
const TEMPLATE = upstreamMessage(0, blankPayload())
const SHAPE = shapeOf(TEMPLATE)
const PAYLOAD_AT = TEMPLATE.indexOf(blankPayload())
const SESSION_AT = TEMPLATE.indexOf(sessionId(0)) + sessionId(0).length - SESSION_DIGITS
