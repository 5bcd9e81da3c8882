import { sessionDown, sessionUp } from '../../src/contract/names.ts'
import type { TestClient } from '../support/client.ts'
import { PATIENT } from '../support/redis.ts'
import { createClient } from '../support/redis-client.ts'
import { eventually, within } from '../support/wait.ts'
import { accountDown, accountUp, type Interval, numbered, type Published, type Witness } from './account.ts'

const TICK_MS = 4
/** A client sends one frame in this many ticks. */
const UP_EVERY = 3
const BURST_EVERY = 60
const BURST = 30
const PADDING = 'x'.repeat(16 * 1024)
const MARKER = '{"marker":"the end"}'

interface Socket {
  readonly name: string
  readonly session: string
  readonly client: TestClient
  readonly openedAt: number
  sent: number
}

/** A server of the agents, and the frames that were heard there, by socket. */
interface Server {
  readonly agent: ReturnType<typeof newAgent>
  readonly ear: ReturnType<typeof newAgent>
  readonly heard: Map<string, number[]>
}

/**
 * Agents and clients that talk without a pause. Agents have a connection of their own to Redis,
 * which no fault of the gateway's connection affects. They publish numbered messages and listen to
 * client frames; clients send numbered frames. With several servers, agents use the first one until
 * `failOver` names another.
 */
export class Traffic {
  readonly #published: Map<string, Published[]>
  readonly #servers: readonly Server[]
  #master = 0
  /** A fail-over is under way: agents publish nothing, and any server may be the master. */
  #moving = false
  readonly #ended = new Set<string>()
  readonly #sockets: Socket[] = []
  readonly #under = new Set<Promise<unknown>>()
  #timer: NodeJS.Timeout | undefined
  #ticks = 0

  private constructor(urls: readonly string[], sessions: readonly string[]) {
    this.#servers = urls.map((url) => ({ agent: newAgent(url), ear: newAgent(url), heard: new Map() }))
    this.#published = new Map(sessions.map((session) => [session, []]))
  }

  /** Connects the agents and lets them listen. */
  static async open(urls: string | readonly string[], sessions: readonly string[]): Promise<Traffic> {
    const traffic = new Traffic([urls].flat(), sessions)
    for (const server of traffic.#servers) {
      await Promise.all([server.agent.connect(), server.ear.connect()])
      await server.ear.subscribe(sessions.map(sessionUp), (frame) => traffic.#hear(server, JSON.parse(frame)))
    }
    return traffic
  }

  /** Adds a socket from now on. */
  add(session: string, client: TestClient): void {
    const name = `${session}/${this.#sockets.length}`
    this.#sockets.push({ name, session, client, openedAt: Date.now(), sent: 0 })
    for (const { heard } of this.#servers) heard.set(name, [])
  }

  witnesses(): Witness[] {
    return this.#sockets.map(witnessOf)
  }

  get size(): number {
    return this.#sockets.length
  }

  start(): void {
    this.#timer = setInterval(() => this.#tick(), TICK_MS)
  }

  /** The numbers of messages published and of frames sent. */
  get counts(): { down: number; up: number } {
    const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0)
    return {
      down: sum([...this.#published.values()].map((list) => list.length)),
      up: sum(this.#sockets.map(({ sent }) => sent)),
    }
  }

  /**
   * Agents follow a fail-over, after which the server `to` is the master. What a demoted server
   * hears afterwards does not count: no agent listens there.
   */
  async failOver(to: number, run: () => Promise<void>): Promise<void> {
    this.#moving = true
    await run()
    await within(Promise.all(this.#under), 'the publishes under way')
    this.#master = to
    this.#moving = false
  }

  get #agent(): Server['agent'] {
    return this.#servers[this.#master]!.agent
  }

  /** Sends a last message in both directions and waits until every side has received it. */
  async finish(): Promise<void> {
    clearInterval(this.#timer)
    await within(Promise.all(this.#under), 'the publishes under way')
    await eventually(
      () => this.#servers.every(({ agent, ear }) => agent.isReady && ear.isReady),
      'the agents to have Redis',
    )
    for (const session of this.#published.keys()) await this.#agent.publish(sessionDown(session), MARKER)
    for (const { client, name } of this.#sockets) client.send({ from: name, end: true })
    for (const { client, name } of this.#sockets) {
      await eventually(() => client.frames.includes(MARKER), `the end at ${name}`)
      await eventually(() => this.#ended.has(name), `the end of ${name}`)
    }
  }

  /** What the agents see, for the investigation of a failure. */
  async diagnosis(): Promise<string> {
    const sockets = this.#sockets.map(({ name, client }) => {
      const end = client.frames.includes(MARKER) ? 'has the end' : 'has no end'
      return `${name} ${end}, is ${this.#ended.has(name) ? 'heard' : 'not heard'}, code ${client.code}, last frame ${client.frames.at(-1)?.slice(0, 80)}`
    })
    const channels = [...this.#published.keys()].map(sessionDown)
    return [JSON.stringify(await this.#agent.pubSubNumSub(channels)), ...sockets].join('; ')
  }

  /**
   * All complaints, over all sockets. `unheard` counts frames that Redis took while the agent's own
   * connection was gone.
   */
  account(faults: readonly Interval[], unheard = 0): string[] {
    return this.#sockets.flatMap((socket) => {
      const witness = witnessOf(socket)
      const up = this.#servers.length > 1 ? this.#union(socket.name) : this.#servers[0]!.heard.get(socket.name)!
      const down = accountDown(witness, this.#published.get(socket.session)!, faults)
      return [...down, ...accountUp(witness, up, unheard), ...this.#disorder(socket.name)]
    })
  }

  close(): void {
    clearInterval(this.#timer)
    for (const client of this.#servers.flatMap(({ agent, ear }) => [agent, ear])) if (client.isOpen) client.destroy()
    for (const { client } of this.#sockets) client.socket.terminate()
  }

  #hear(server: Server, { from, n, end }: { from: string; n: number; end?: boolean }): void {
    if (!this.#moving && server !== this.#servers[this.#master]) return
    if (end) this.#ended.add(from)
    else server.heard.get(from)?.push(n)
  }

  /** The frames of a socket that a master has heard. Replicas hear again what their master does. */
  #union(name: string): number[] {
    return [...new Set(this.#servers.flatMap(({ heard }) => heard.get(name)!))].sort((a, b) => a - b)
  }

  /** Complaints about frames that one of several servers heard twice or late. */
  #disorder(name: string): string[] {
    if (this.#servers.length === 1) return []
    return this.#servers.flatMap(({ heard }, i) => {
      const numbers = heard.get(name)!
      const at = numbers.findIndex((number, n) => n > 0 && number <= numbers[n - 1]!)
      return at < 0 ? [] : [`${name}: server ${i} heard frame ${numbers[at]} after ${numbers[at - 1]}`]
    })
  }

  #tick(): void {
    this.#ticks++
    const count = this.#ticks % BURST_EVERY === 0 ? BURST : 1
    for (const session of this.#moving ? [] : this.#published.keys())
      for (let i = 0; i < count; i++) this.#publish(session, count > 1)
    if (this.#ticks % UP_EVERY > 0) return
    for (const socket of this.#sockets) socket.client.send({ from: socket.name, n: socket.sent++ })
  }

  #publish(session: string, large: boolean): void {
    const list = this.#published.get(session)!
    const number = list.length
    const text = numbered(number, large ? PADDING.slice(0, (number * 997) % PADDING.length) : '')
    const from = Date.now()
    // Unconfirmed until it is answered: it may be published at any time.
    list.push({ text, at: { from, to: Number.POSITIVE_INFINITY }, sure: false })
    const settled = (sure: boolean) => {
      list[number] = { text, at: { from, to: Date.now() }, sure }
      this.#under.delete(answer)
    }
    const answer: Promise<unknown> = this.#agent.publish(sessionDown(session), text).then(
      // A server that is being demoted delivers to its own subscribers only.
      () => settled(!this.#moving),
      () => settled(false),
    )
    this.#under.add(answer)
  }
}

const witnessOf = ({ name, client, openedAt, sent }: Socket): Witness => ({
  name,
  openedAt,
  closeCode: client.code,
  frames: client.frames.map(String),
  sent,
})

function newAgent(url: string) {
  const socket = { reconnectStrategy: () => 20 }
  return createClient({ url, disableOfflineQueue: true, socket, commandOptions: PATIENT }).on('error', () => {})
}
