/**
 * The resume oracle at full size: very many clients of `wsproxy.v2`, each on a session of its own,
 * through dropped connections, two restarts of a gateway and one of Redis.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { sessionAuth, sessionDown, sessionLog, sessionMeta } from '../../../src/contract/names.ts'
import { serveReady } from '../../support/cli.ts'
import type { Scope } from '../../support/scope.ts'
import { Random } from '../random.ts'
import { accountOf, type Said, textOf } from './account.ts'
import { type Ground, startKeeping } from './ground.ts'
import { Reader } from './reader.ts'
import { SEAM_ENV } from './run.ts'

const EPOCH = 'k00000000abc'
const TICK_MS = 20
const REDIS_AWAY_MS = 500
const GATEWAYS = 2
const AT_ONCE = 200
const PATIENCE_MS = 90_000

const text = { type: 'string' } as const
const { values } = parseArgs({
  options: { sockets: text, rate: text, seconds: text, drops: text, seed: text },
})
const numberOf = (value: string | undefined, otherwise: number) => Number(value ?? otherwise)
const sockets = numberOf(values.sockets, 10_000)
const rate = numberOf(values.rate, 20_000)
const seconds = numberOf(values.seconds, 60)
const drops = numberOf(values.drops, 1000)
const random = new Random(numberOf(values.seed, 1))

type Served = Awaited<ReturnType<typeof serveReady>>

/** The agents of all sessions: each message goes into the log first, then on the channel. */
class Agents {
  readonly said: Said[][] = []
  readonly #ground: Ground
  #confirming = 0
  #next = 0

  constructor(ground: Ground) {
    this.#ground = ground
  }

  async open(i: number): Promise<void> {
    const session = nameOf(i)
    await this.#send('SET', sessionAuth(session), 't')
    await this.#send('HSETNX', sessionMeta(session), 'e', EPOCH)
    this.said[i] = []
    await this.say(i)
  }

  /** Says one message in each of the next sessions. */
  sayNext(count: number): void {
    for (let i = 0; i < count; i++) void this.say(this.#next++ % sockets)
  }

  /** Its number is confirmed when Redis answers; an unanswered one may be in the log or not. */
  async say(i: number): Promise<boolean> {
    const said = this.said[i]!
    const n = said.length
    const offset = n + 1
    const payload = textOf(n, '')
    said.push({ text: payload, offset: 0 })
    const session = nameOf(i)
    this.#confirming++
    try {
      const logged = this.#send('XADD', sessionLog(session), `0-${offset}`, 'm', payload)
      const published = this.#send('PUBLISH', sessionDown(session), `\x1e${EPOCH}.${offset}\x1e${payload}`)
      await Promise.all([logged, published])
      said[n] = { text: payload, offset }
      return true
    } catch {
      return false
    } finally {
      this.#confirming--
    }
  }

  /** Says one message more in each session, until Redis has confirmed it. */
  async finish(): Promise<void> {
    while (this.#confirming > 0) await sleep(TICK_MS)
    await inTurn(async (i) => {
      while (!(await this.say(i))) await sleep(TICK_MS)
    })
  }

  #send(name: string, key: string, ...rest: readonly string[]): Promise<unknown> {
    return this.#ground.send(key, [name, key, ...rest])
  }
}

/**
 * A Redis that is killed may have published what it had not written yet, and not confirmed: one
 * turn of its loop can serve the socket of a gateway between the two.
 */
const isExcused = (reason: string): boolean => reason === 'redis'

const nameOf = (i: number): string => `crowd-${i}`

async function inTurn(work: (i: number) => Promise<void>): Promise<void> {
  for (let from = 0; from < sockets; from += AT_ONCE)
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, sockets - from) }, (_, i) => work(from + i)))
}

class Crowd {
  readonly #gateways: Served[] = []
  readonly #readers: Reader[] = []
  readonly #ground: Ground
  readonly #agents: Agents
  #turn = 0

  constructor(ground: Ground) {
    this.#ground = ground
    this.#agents = new Agents(ground)
  }

  async play(): Promise<void> {
    for (let i = 0; i < GATEWAYS; i++) this.#gateways.push(await this.#serve())
    await inTurn((i) => this.#agents.open(i))
    await inTurn(async (i) => {
      this.#readers[i] = new Reader(nameOf(i), () => this.#url(i), { pauseMs: () => random.int(50, 1000) })
      while (this.#readers[i]!.place === undefined) await sleep(TICK_MS)
    })
    console.log(`${sockets} clients have their position`)
    const faults = this.#suffer()
    const said = await this.#talk()
    await faults
    await this.#agents.finish()
    console.log(`${said} messages in ${seconds} s; waiting for all clients`)
    const until = Date.now() + PATIENCE_MS
    while (this.#readers.some((reader, i) => !this.#hasAll(reader, i)) && Date.now() < until) await sleep(100)
  }

  async stop(): Promise<void> {
    for (const reader of this.#readers) reader.close()
    for (const { command } of this.#gateways) command.signal('SIGKILL')
    for (const { command } of this.#gateways) await command.exited
  }

  /** Prints what came, and returns whether all is accounted for. */
  report(): boolean {
    const sums = { messages: 0, connections: 0, lost: 0, told: 0, duplicated: 0, reordered: 0 }
    const complaints: string[] = []
    for (const [i, { name, events, ended, connections }] of this.#readers.entries()) {
      const said = this.#agents.said[i]!
      const account = accountOf({ name, events, said, upTo: said.length - 1, isExcused, isGone: () => false })
      if (ended !== undefined) complaints.push(`${name}: ${ended}`)
      complaints.push(...account.complaints)
      sums.messages += events.filter(({ kind }) => kind === 'message').length
      sums.connections += connections
      for (const sum of ['lost', 'told', 'duplicated', 'reordered'] as const) sums[sum] += account[sum]
    }
    console.log(JSON.stringify(sums))
    for (const complaint of complaints.slice(0, 20)) console.log(complaint.slice(0, 300))
    return complaints.length === 0
  }

  /** Publishes at the rate, by the clock. */
  async #talk(): Promise<number> {
    const begin = performance.now()
    let said = 0
    for (let passed = 0; passed < seconds; passed = (performance.now() - begin) / 1000) {
      const due = Math.floor(passed * rate)
      this.#agents.sayNext(due - said)
      said = due
      await sleep(TICK_MS)
    }
    return said
  }

  /** Drops all the time; a drained gateway, a restart of Redis and a killed gateway in between. */
  async #suffer(): Promise<void> {
    const quarter = (seconds * 1000) / 4
    const dropping = this.#drop()
    await sleep(quarter)
    await this.#replace(0, 'SIGTERM')
    await sleep(quarter / 2)
    console.log('Redis restarts')
    await this.#ground.suffer(nameOf(0), REDIS_AWAY_MS)
    await sleep(quarter / 2)
    await this.#replace(1, 'SIGKILL')
    await dropping
  }

  async #drop(): Promise<void> {
    const pauseMs = (seconds * 900) / drops
    for (let i = 0; i < drops; i++) {
      this.#readers[random.int(0, sockets - 1)]!.drop()
      await sleep(pauseMs)
    }
  }

  async #replace(at: number, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    console.log(`a gateway gets ${signal}`)
    const old = this.#gateways[at]!
    this.#gateways[at] = await this.#serve()
    old.command.signal(signal)
    await old.command.exited
  }

  #hasAll({ place, ended }: Reader, i: number): boolean {
    return ended !== undefined || (place?.offset ?? 0) >= this.#agents.said[i]!.length
  }

  #url(i: number): string {
    return `${this.#gateways[this.#turn++ % GATEWAYS]!.ws}/a/ws/${nameOf(i)}`
  }

  #serve(): Promise<Served> {
    return serveReady({ ...SEAM_ENV, ...this.#ground.env, HANDSHAKE_TIMEOUT: '10s' })
  }
}

const ends: (() => unknown)[] = []
const scope: Scope = { after: (end) => void ends.unshift(end) }
const crowd = new Crowd(await startKeeping(scope))
try {
  await crowd.play()
  if (!crowd.report()) process.exitCode = 1
} finally {
  await crowd.stop()
  for (const end of ends) await end()
}
