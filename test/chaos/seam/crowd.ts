/**
 * The resume oracle at full size: very many clients of `wsproxy.v2`, each on a session of its own,
 * through dropped connections, two restarts of a gateway and one of Redis.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { sessionAuth, sessionDown, sessionLog, sessionMeta } from '../../../src/contract/names.ts'
import { serveReady } from '../../support/cli.ts'
import type { Scope } from '../../support/scope.ts'
import { Random } from '../random.ts'
import { textOf } from './account.ts'
import type { Order, Report, Spoken } from './crowd-clients.ts'
import { type Ground, startKeeping } from './ground.ts'
import { SEAM_ENV } from './run.ts'

const EPOCH = 'k00000000abc'
const TICK_MS = 20
const REDIS_AWAY_MS = 500
const GATEWAYS = 2
const AT_ONCE = 200
const PATIENCE_MS = 90_000
/** Messages that wait for Redis. Beyond that the program would only fill its own memory. */
const MAX_CONFIRMING = 20_000

const text = { type: 'string' } as const
const { values } = parseArgs({
  options: { sockets: text, rate: text, seconds: text, drops: text, seed: text, shares: text },
})
const numberOf = (value: string | undefined, otherwise: number) => Number(value ?? otherwise)
const sockets = numberOf(values.sockets, 10_000)
const rate = numberOf(values.rate, 20_000)
const seconds = numberOf(values.seconds, 60)
const drops = numberOf(values.drops, 1000)
const seed = numberOf(values.seed, 1)
/** Processes that play the clients. */
const shares = numberOf(values.shares, 2)
const random = new Random(seed)

type Served = Awaited<ReturnType<typeof serveReady>>

/** The agents of all sessions: each message goes into the log first, then on the channel. */
class Agents {
  /** How many messages each session has, and the numbers of those without an answer. */
  readonly #lengths: number[] = []
  readonly #unconfirmed: Set<number>[] = []
  readonly #ground: Ground
  confirmed = 0
  #confirming = 0
  #next = 0

  constructor(ground: Ground) {
    this.#ground = ground
  }

  async open(i: number): Promise<void> {
    const session = nameOf(i)
    await this.#send('SET', sessionAuth(session), 't')
    await this.#send('HSETNX', sessionMeta(session), 'e', EPOCH)
    this.#lengths[i] = 0
    this.#unconfirmed[i] = new Set()
    await this.say(i)
  }

  /**
   * Says one message in each of the next sessions, as far as Redis keeps up. Returns their number.
   */
  sayNext(count: number): number {
    const most = Math.max(0, Math.min(count, MAX_CONFIRMING - this.#confirming))
    for (let i = 0; i < most; i++) void this.say(this.#next++ % sockets)
    return most
  }

  /** Its number is confirmed when Redis answers; an unanswered one may be in the log or not. */
  async say(i: number): Promise<boolean> {
    const n = this.#lengths[i]!++
    const offset = n + 1
    const payload = textOf(n, '')
    this.#unconfirmed[i]!.add(n)
    const session = nameOf(i)
    this.#confirming++
    try {
      const logged = this.#send('XADD', sessionLog(session), `0-${offset}`, 'm', payload)
      const published = this.#send('PUBLISH', sessionDown(session), `\x1e${EPOCH}.${offset}\x1e${payload}`)
      await Promise.all([logged, published])
      this.#unconfirmed[i]!.delete(n)
      this.confirmed++
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

  said(i: number): Spoken {
    return { length: this.#lengths[i]!, unconfirmed: [...this.#unconfirmed[i]!] }
  }

  #send(name: string, key: string, ...rest: readonly string[]): Promise<unknown> {
    return this.#ground.send(key, [name, key, ...rest])
  }
}

const nameOf = (i: number): string => `crowd-${i}`

async function inTurn(work: (i: number) => Promise<void>): Promise<void> {
  for (let from = 0; from < sockets; from += AT_ONCE)
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, sockets - from) }, (_, i) => work(from + i)))
}

/** The clients of one process. */
class Share {
  readonly #child: ChildProcess = fork(new URL('./crowd-clients.js', import.meta.url))
  readonly #waiting = new Map<number, (report: Report | undefined) => void>()
  #id = 0

  constructor() {
    this.#child.on('message', ({ id, report }: { id: number; report?: Report }) => {
      this.#waiting.get(id)?.(report)
      this.#waiting.delete(id)
    })
  }

  ask(order: Order): Promise<Report | undefined> {
    const id = ++this.#id
    this.#child.send({ id, order })
    return new Promise((resolve) => this.#waiting.set(id, resolve))
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL')
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit')
  }
}

class Crowd {
  readonly #gateways: Served[] = []
  readonly #shares = Array.from({ length: shares }, () => new Share())
  readonly #ground: Ground
  readonly #agents: Agents

  constructor(ground: Ground) {
    this.#ground = ground
    this.#agents = new Agents(ground)
  }

  async play(): Promise<void> {
    for (let i = 0; i < GATEWAYS; i++) this.#gateways.push(await this.#serve())
    await inTurn((i) => this.#agents.open(i))
    await this.#each((share, mine) =>
      share.ask({ what: 'open', names: mine.map(nameOf), urls: this.#urls, seed: seed + mine[0]! }),
    )
    console.log(`${sockets} clients have their position`)
    const faults = this.#suffer()
    const said = await this.#talk()
    await faults
    await this.#agents.finish()
    console.log(`${said} messages in ${seconds} s, ${this.#agents.confirmed} confirmed; waiting for all clients`)
  }

  async stop(): Promise<void> {
    for (const share of this.#shares) await share.stop()
    for (const { command } of this.#gateways) command.signal('SIGKILL')
    for (const { command } of this.#gateways) await command.exited
  }

  /** Prints what came, and returns whether all is accounted for. */
  async report(): Promise<boolean> {
    const sums = { messages: 0, connections: 0, lost: 0, told: 0, duplicated: 0, reordered: 0 }
    const all: string[] = []
    await this.#each(async (share, mine) => {
      const said = mine.map((i) => this.#agents.said(i))
      const { complaints, ...own } = (await share.ask({ what: 'account', said, patienceMs: PATIENCE_MS }))!
      all.push(...complaints)
      for (const sum of Object.keys(sums) as (keyof typeof sums)[]) sums[sum] += own[sum]
    })
    console.log(JSON.stringify(sums))
    for (const complaint of all.slice(0, 20)) console.log(complaint.slice(0, 300))
    return all.length === 0
  }

  /** @param work gets the numbers of the sessions whose clients a share plays. */
  async #each(work: (share: Share, mine: readonly number[]) => Promise<unknown>): Promise<void> {
    const all = Array.from({ length: sockets }, (_, i) => i)
    await Promise.all(
      this.#shares.map((share, at) =>
        work(
          share,
          all.filter((i) => i % shares === at),
        ),
      ),
    )
  }

  /** Publishes at the rate, by the clock, or as fast as Redis confirms. */
  async #talk(): Promise<number> {
    const begin = performance.now()
    let said = 0
    for (let passed = 0; passed < seconds; passed = (performance.now() - begin) / 1000) {
      said += this.#agents.sayNext(Math.floor(passed * rate) - said)
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
      const i = random.int(0, sockets - 1)
      void this.#shares[i % shares]!.ask({ what: 'drop', client: Math.floor(i / shares) })
      await sleep(pauseMs)
    }
  }

  async #replace(at: number, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    console.log(`a gateway gets ${signal}`)
    const old = this.#gateways[at]!
    this.#gateways[at] = await this.#serve()
    await this.#each((share) => share.ask({ what: 'urls', urls: this.#urls }))
    old.command.signal(signal)
    await old.command.exited
  }

  get #urls(): string[] {
    return this.#gateways.map(({ ws }) => ws)
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
  if (!(await crowd.report())) process.exitCode = 1
} finally {
  await crowd.stop()
  for (const end of ends) await end()
}
