import { setTimeout as sleep } from 'node:timers/promises'
import { connect, RefusedError, type TestClient } from '../../support/client.ts'
import type { Event, Place } from './account.ts'

/** Closes after which a client comes back: lost, drained, Redis or a place was missing. */
const COME_BACK = new Set([1001, 1005, 1006, 4503, 4408])
const PAUSE_MS = 25

export interface ReaderOptions {
  /** Where it begins; undefined: with what comes from now on. */
  readonly place?: Place | undefined
  /** How long it waits before it dials again. */
  readonly pauseMs?: () => number
}

/**
 * A client of `wsproxy.v2` as an SDK is one: it keeps its cursor and comes back with it, at
 * whichever gateway there is.
 */
export class Reader {
  readonly name: string
  readonly events: Event[] = []
  /** Its last place; undefined until it has one. */
  place: Place | undefined
  /** Why it gave up. */
  ended: string | undefined
  connections = 0
  /** Why it has last lost or not got a connection. */
  refusal = ''
  readonly #url: () => string
  #client: TestClient | undefined
  readonly #pauseMs: () => number
  #isOver = false

  constructor(name: string, url: () => string, { place, pauseMs = () => PAUSE_MS }: ReaderOptions = {}) {
    this.name = name
    this.#url = url
    this.place = place
    this.#pauseMs = pauseMs
    void this.#run()
  }

  /** Loses its connection, as in a tunnel. */
  drop(): void {
    this.#client?.socket.terminate()
  }

  /** Reads nothing for a while. */
  async stall(ms: number): Promise<void> {
    const client = this.#client
    client?.socket.pause()
    await sleep(ms)
    if (client?.code === undefined) client?.socket.resume()
  }

  close(): void {
    this.#isOver = true
    this.#client?.socket.terminate()
  }

  async #run(): Promise<void> {
    while (!this.#isOver && this.ended === undefined) {
      const from = this.place
      const client = await connect(`${this.#url()}${from ? `?cursor=${from.epoch}.${from.offset}` : ''}`, {
        token: 't',
        protocols: ['wsproxy.v2'],
        perMessageDeflate: false,
      }).catch((error: Error) => error)
      if (client instanceof Error) {
        this.refusal = client.message
        if (client instanceof RefusedError && client.refused.status < 500) this.ended = client.message
        await sleep(this.#pauseMs())
        continue
      }
      this.#client = client
      this.connections++
      if (this.#isOver) client.socket.terminate()
      let isFirst = true
      const take = (frame: string | Buffer) => {
        this.#take(String(frame), isFirst)
        isFirst = false
      }
      for (const frame of client.frames) take(frame)
      client.socket.on('message', (frame: Buffer) => take(frame.toString()))
      const { code, reason } = await client.closed
      this.refusal = `${code} ${reason}`
      if (!COME_BACK.has(code)) this.ended = `closed with ${code} ${reason}`
      await sleep(this.#pauseMs())
    }
  }

  #take(frame: string, isFirst: boolean): void {
    if (!frame.startsWith('{')) {
      const space = frame.indexOf(' ')
      const offset = Number(frame.slice(0, space))
      this.events.push({ kind: 'message', offset, text: frame.slice(space + 1) })
      if (this.place !== undefined) this.place = { epoch: this.place.epoch, offset }
      return
    }
    const { command, ...rest } = JSON.parse(frame)
    if (isFirst && command !== 'position') this.ended = `the first frame is ${frame}`
    if (command === 'position') {
      const to = { epoch: rest.epoch ?? '', offset: rest.offset ?? 0 }
      this.events.push({
        kind: 'position',
        to,
        from: this.place,
        reason: rest.recovered === false ? rest.reason : undefined,
      })
      if (rest.epoch !== undefined) this.place = to
    } else if (command === 'gap') {
      this.events.push({ kind: 'gap', ...rest })
      if (this.place !== undefined) this.place = { epoch: this.place.epoch, offset: rest.to }
    }
  }
}
