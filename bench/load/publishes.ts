/** PUBLISH commands in RESP, encoded once: one per session, all of the same length, so that a batch is copied and stamped. */
import { sessionDown } from '../../src/contract/topics.ts'
import { blankPayload, PAYLOAD_BYTES, stamp } from './payload.ts'
import { sessionId } from './sessions.ts'

export class Publishes {
  readonly #sessions: number
  readonly #lap: Buffer
  readonly #commandBytes: number
  readonly #payloadAt: number

  /** Messages go round the sessions 0 to `sessions - 1`. */
  constructor(sessions: number) {
    const commands = Array.from({ length: sessions }, (_, index) =>
      encode(sessionDown(sessionId(index)), blankPayload()),
    )
    this.#sessions = sessions
    this.#lap = Buffer.from(commands.join(''), 'latin1')
    this.#commandBytes = commands[0]!.length
    this.#payloadAt = this.#commandBytes - PAYLOAD_BYTES - 2
  }

  /** The messages number `first` to `first + count - 1` of all, stamped with `atUs`, in a buffer of their own. */
  batch(first: number, count: number, atUs: number): Buffer {
    const size = this.#commandBytes
    const batch = Buffer.allocUnsafe(count * size)
    const time = Math.floor(atUs)
    for (let done = 0; done < count; ) {
      const session = (first + done) % this.#sessions
      const run = Math.min(count - done, this.#sessions - session)
      this.#lap.copy(batch, done * size, session * size, (session + run) * size)
      done += run
    }
    for (let i = 0; i < count; i++) {
      stamp(batch, i * size + this.#payloadAt, Math.floor((first + i) / this.#sessions), time)
    }
    return batch
  }
}

function encode(channel: string, payload: string): string {
  return `*3\r\n$7\r\nPUBLISH\r\n$${channel.length}\r\n${channel}\r\n$${payload.length}\r\n${payload}\r\n`
}
