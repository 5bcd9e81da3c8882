/** The agents and clients of a soak: a slow, steady traffic through the three doors. */
import { setTimeout as sleep } from 'node:timers/promises'
import { createClient } from 'redis'
import { liveChannel, runKey, sessionAuth, sessionDown } from '../../src/contract/names.ts'
import { livePaths, topicName } from '../load/live.ts'
import { runId } from '../load/runs.ts'
import { Counts, type Destination, SoakClient } from './clients.ts'

export const RUNS = 5
const TOPICS = 5
const TOKEN_TTL_S = 60
/** Each second one client is dropped, every second time without a close frame. */
const DROP_MS = 1000
const MS = 1000
const LOOK_MS = 50

export interface Load {
  /** Sockets at each of the three doors. */
  sockets: number
  /** Messages a second for all sockets of a door together. */
  rate: number
}

export class Traffic {
  readonly counts = new Counts()
  /** Messages that Redis has taken. */
  published = 0
  readonly #agent: ReturnType<typeof newAgent>
  readonly #port: number
  readonly #clients: SoakClient[]
  readonly #sessions: string[]
  readonly #timers: NodeJS.Timeout[] = []
  #created = 0
  #turn = 0

  private constructor(agent: ReturnType<typeof newAgent>, port: number, { sockets }: Load) {
    this.#agent = agent
    this.#port = port
    this.#sessions = Array.from({ length: sockets }, () => '')
    const client = (next: () => Promise<Destination>) => new SoakClient(this.counts, next)
    this.#clients = [
      ...this.#sessions.map((_, place) => client(() => this.#session(place))),
      ...this.#sessions.map((_, place) => client(async () => ({ url: this.#url(`/${runId(place % RUNS)}`) }))),
      ...this.#sessions.map((_, place) => client(async () => ({ url: this.#url(livePaths(TOPICS)[place % TOPICS]!) }))),
    ]
  }

  static async start(redisUrl: string, port: number, load: Load): Promise<Traffic> {
    const agent = newAgent(redisUrl)
    await agent.connect()
    const traffic = new Traffic(agent, port, load)
    traffic.#timers.push(
      setInterval(() => traffic.#publish(), MS / load.rate),
      setInterval(() => traffic.#drop(), DROP_MS),
    )
    return traffic
  }

  /** The open sockets, and those that have been open for at least that long without a message. */
  sockets(deafAfterMs: number): { open: number; all: number; deaf: number } {
    const count = (which: (client: SoakClient) => boolean) => this.#clients.filter(which).length
    return {
      open: count(({ isOpen }) => isOpen),
      all: this.#clients.length,
      deaf: count((client) => client.isDeaf(deafAfterMs)),
    }
  }

  /** Resolves when this share of the sockets is open, or after `patienceMs`. */
  async whenOpen(share: number, patienceMs: number): Promise<void> {
    const until = performance.now() + patienceMs
    const isOpen = () => this.#clients.filter((client) => client.isOpen).length >= this.#clients.length * share
    while (!isOpen() && performance.now() < until) await sleep(LOOK_MS)
  }

  /** The channels that have a subscriber in Redis. */
  async channels(): Promise<number> {
    return ((await this.#agent.sendCommand(['PUBSUB', 'CHANNELS'])) as unknown as string[]).length
  }

  end(): void {
    for (const timer of this.#timers) clearInterval(timer)
    for (const client of this.#clients) client.end()
    if (this.#agent.isOpen) this.#agent.destroy()
  }

  #url = (path: string): string => `ws://127.0.0.1:${this.#port}${path}`

  /** A new session each time, so that channels come and go. Every second client speaks v2. */
  async #session(place: number): Promise<Destination> {
    const session = `soak-${this.#created++}`
    const token = `token-of-${session}`
    await this.#agent.set(sessionAuth(session), token, { expiration: { type: 'EX', value: TOKEN_TTL_S } })
    this.#sessions[place] = session
    return { url: this.#url(`/soak/ws/${session}`), token, protocols: place % 2 === 0 ? [] : ['wsproxy.v2'] }
  }

  /** One message at each door, and a frame of a client. What Redis does not take is lost. */
  #publish(): void {
    const turn = this.#turn++
    const at = Date.now()
    const sent = [
      this.#agent.publish(sessionDown(this.#sessions[turn % this.#sessions.length]!), JSON.stringify({ at, turn })),
      this.#agent.publish(liveChannel(topicName(turn % TOPICS)), JSON.stringify({ at, turn })),
      this.#agent.hSet(runKey(runId(turn % RUNS)), 'last_modified', String(at)),
    ]
    for (const each of sent)
      each.then(
        () => this.published++,
        () => {},
      )
    this.#clients[turn % this.#sessions.length]!.say()
  }

  #drop(): void {
    const one = this.#clients[Math.floor(Math.random() * this.#clients.length)]!
    one.drop(Math.random() < 0.5)
  }
}

/** Its commands fail at once while Redis is away. */
const newAgent = (url: string) =>
  createClient({ url, disableOfflineQueue: true, socket: { reconnectStrategy: 100 } }).on('error', () => {})
