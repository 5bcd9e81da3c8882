/** Sends frames from the open sockets, in turn and at a given pace (open loop). */
import type { Client } from './client.ts'
import { nowUs } from './clock.ts'
import type { Dialect } from './dialects.ts'
import { clientTextFrame } from './frames.ts'
import { keepPace, type Pace } from './pace.ts'
import { address, blankPayload, type Shape, shapeOf, stamp } from './payload.ts'
import { Usage } from './usage.ts'

export interface Sent {
  startedUs: number
  seconds: number
  lagP99Ms: number
  generatorShare: number
}

export class Sender {
  readonly #clients: Client[]
  readonly #frame: Buffer
  readonly #shape: Shape
  #sent = 0

  constructor(clients: Client[], { upstream }: Dialect) {
    this.#clients = clients
    this.#frame = clientTextFrame(upstream!(0, blankPayload()))
    this.#shape = shapeOf(this.#frame)
  }

  async send(pace: Pace): Promise<Sent> {
    const usage = new Usage()
    const startedUs = nowUs()
    const write = (count: number, dueUs: number) => {
      for (let i = 0; i < count; i++) this.#one(dueUs)
    }
    const lagP99Ms = await keepPace(pace, () => true, write)
    const { generatorShare } = usage.used()
    return { startedUs, seconds: (nowUs() - startedUs) / 1e6, lagP99Ms, generatorShare }
  }

  #one(dueUs: number): void {
    const frame = Buffer.from(this.#frame) // a written buffer may stay in the socket's queue
    const client = this.#clients[this.#sent % this.#clients.length]!
    stamp(frame, 0, Math.floor(this.#sent / this.#clients.length), Math.floor(dueUs), this.#shape)
    address(frame, 0, client.session, this.#shape)
    this.#sent++
    client.send(frame)
  }
}
