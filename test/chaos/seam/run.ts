import { setTimeout as sleep } from 'node:timers/promises'
import { sessionAuth, sessionLog } from '../../../src/contract/names.ts'
import { serveReady } from '../../support/cli.ts'
import type { Scope } from '../../support/scope.ts'
import { eventually } from '../../support/wait.ts'
import { inflict } from '../plan.ts'
import { type Account, accountOf } from './account.ts'
import { type Ground, startGround } from './ground.ts'
import type { SeamPlan, SeamStep } from './plan.ts'
import { Reader } from './reader.ts'
import { Writer } from './writer.ts'

/** Small bounds and short timeouts, so that a run of seconds reaches all of them. */
export const SEAM_ENV = {
  LOG_LEVEL: 'info',
  AUTH_TOKEN_MODE: 'reusable',
  CONNECT_RATE: '0',
  CONNECT_RATE_PER_IP: '0',
  REFUSED_RATE_PER_IP: '0',
  REFUSED_OPEN_MAX: '10000',
  HANDSHAKE_TIMEOUT: '1s',
  SHUTDOWN_GRACE_PERIOD: '2s',
  DRAIN_WINDOW: '200ms',
  REDIS_CANARY_INTERVAL: '300ms',
  REDIS_CANARY_TIMEOUT: '1200ms',
  MAX_BUFFER_SIZE_BYTES: '256KiB',
}
const GATEWAYS = 2
const CROWD = 50
/** How far back the cursors of a crowd are. */
const BACK = 400
const SHORT_LOG = 100
const LONG_LOG = 1_000_000
const FLOOD = 300

type Served = Awaited<ReturnType<typeof serveReady>>

export interface SeamOutcome extends Omit<Account, 'complaints'> {
  readonly plan: SeamPlan
  /** What cannot be accounted for; empty when the run went well. */
  readonly complaints: readonly string[]
  readonly said: number
  readonly connections: number
}

/** One run by its plan, on a Redis and gateways of its own. */
export async function runSeam(plan: SeamPlan): Promise<SeamOutcome> {
  const ends: (() => unknown)[] = []
  const scope: Scope = { after: (end) => void ends.unshift(end) }
  const run = new Run(plan, await startGround(plan.ground, scope))
  try {
    await run.play()
  } catch (error) {
    run.complain(String(error))
  } finally {
    await run.stop()
    for (const end of ends) await end()
  }
  return run.outcome
}

class Run {
  readonly #plan: SeamPlan
  readonly #ground: Ground
  readonly #gateways: Served[] = []
  readonly #writers: Writer[] = []
  readonly #readers: { reader: Reader; writer: Writer }[] = []
  readonly #complaints: string[] = []
  readonly #sums = { lost: 0, told: 0, duplicated: 0, reordered: 0, connections: 0 }
  #turn = 0

  constructor(plan: SeamPlan, ground: Ground) {
    this.#plan = plan
    this.#ground = ground
  }

  complain(what: string): void {
    this.#complaints.push(what)
  }

  get outcome(): SeamOutcome {
    const said = this.#writers.reduce((sum, writer) => sum + writer.said.length, 0)
    return { plan: this.#plan, complaints: this.#complaints, said, ...this.#sums }
  }

  async play(): Promise<void> {
    const { sessions, readers, isTrimmed, ground, seed, steps } = this.#plan
    for (let i = 0; i < GATEWAYS; i++) this.#gateways.push(await this.#serve())
    for (let i = 0; i < sessions; i++) {
      const session = `seam-${seed}-${i}`
      await this.#ground.send(sessionAuth(session), ['SET', sessionAuth(session), 't'])
      const entries = isTrimmed ? SHORT_LOG : LONG_LOG
      const options = { isCounting: i % 2 === 1, isSharded: ground === 'sharded', entries, seed: seed + i }
      const writer = new Writer(this.#ground, session, options)
      this.#writers.push(writer)
      await writer.start()
      for (let j = 0; j < readers; j++) this.#readers.push({ reader: this.#enter(`${session}/${j}`, session), writer })
    }
    const overlapped: Promise<void>[] = []
    for (const step of steps) {
      await sleep(step.calmMs)
      const suffered = this.#suffer(step)
      if (step.isOverlapped) overlapped.push(suffered.catch((error) => this.complain(String(error))))
      else await suffered
    }
    await Promise.all(overlapped)
    await this.#finish()
  }

  async stop(): Promise<void> {
    for (const writer of this.#writers) writer.stop()
    for (const { reader } of this.#readers) reader.close()
    for (const { command } of this.#gateways) command.signal('SIGKILL')
    for (const { command } of this.#gateways) await command.exited
  }

  #serve(): Promise<Served> {
    return serveReady({ ...SEAM_ENV, SESSION_RESUME_PAGE: String(this.#plan.page), ...this.#ground.env })
  }

  /** A client dials one gateway after the other. */
  #enter(name: string, session: string, place?: Reader['place']): Reader {
    return new Reader(name, () => `${this.#gateways[this.#turn++ % GATEWAYS]!.ws}/a/ws/${session}`, { place })
  }

  async #suffer({ kind, lengthMs, pick, fault }: SeamStep): Promise<void> {
    const { reader, writer } = this.#readers[pick % this.#readers.length]!
    if (kind === 'drop') for (const each of this.#readers) each.reader.drop()
    else if (kind === 'crowd') await this.#crowd(reader, writer, pick)
    else if (kind === 'stop' || kind === 'kill') await this.#replace(pick % GATEWAYS, kind)
    else if (kind === 'stall') await Promise.all([reader.stall(lengthMs), writer.flood(FLOOD)])
    else if (kind === 'trim') await this.#trim(writer.session)
    else if (kind === 'redis') await this.#ground.suffer(writer.session, lengthMs)
    else {
      const proxy = this.#ground.proxy!
      await inflict(proxy, fault)
      await sleep(lengthMs)
      proxy.heal()
    }
  }

  async #replace(at: number, how: 'stop' | 'kill'): Promise<void> {
    const old = this.#gateways[at]!
    const next = await this.#serve()
    this.#gateways[at] = next
    old.command.signal(how === 'kill' ? 'SIGKILL' : 'SIGTERM')
    await old.command.exited
  }

  async #trim(session: string): Promise<void> {
    const log = sessionLog(session)
    await this.#ground.send(log, ['XTRIM', log, 'MAXLEN', '3']).catch(() => {})
  }

  /** Many clients come at once, each with an older cursor. */
  async #crowd({ place }: Reader, writer: Writer, pick: number): Promise<void> {
    if (place === undefined) return
    const upTo = writer.said.findLastIndex(({ offset }) => offset > 0)
    const target = writer.said[upTo]!.offset
    const crowd = Array.from({ length: CROWD }, (_, i) => {
      const offset = Math.max(0, place.offset - ((i * 7 + pick) % BACK))
      return this.#enter(`crowd ${pick}/${i}`, writer.session, { epoch: place.epoch, offset })
    })
    try {
      await Promise.all(crowd.map((each) => this.#reach(each, target)))
    } finally {
      for (const each of crowd) each.close()
    }
    for (const each of crowd) this.#account(each, writer, upTo)
  }

  async #reach(reader: Reader, offset: number): Promise<void> {
    const has = () => (reader.place?.offset ?? 0) >= offset || reader.ended !== undefined
    await eventually(has, `${reader.name} to reach ${offset}`).catch(({ message }: Error) => {
      throw new Error(`${message}; it has ${JSON.stringify(reader.place)}, last refusal: ${reader.refusal}`)
    })
  }

  async #finish(): Promise<void> {
    for (const { http } of this.#gateways)
      await eventually(
        () =>
          fetch(`${http}/ready`).then(
            ({ ok }) => ok,
            () => false,
          ),
        'the gateways to be ready',
      )
    const last = new Map<Writer, number>()
    for (const writer of this.#writers) last.set(writer, await writer.finish())
    for (const { reader, writer } of this.#readers) {
      const upTo = last.get(writer)!
      await this.#reach(reader, writer.said[upTo]!.offset).catch((error) => this.complain(String(error)))
    }
    const kept = new Map<Writer, Set<string>>()
    for (const writer of this.#writers) kept.set(writer, await this.#kept(writer.session))
    for (const { reader, writer } of this.#readers) this.#account(reader, writer, last.get(writer)!, kept.get(writer))
  }

  /** Texts that the log has. */
  async #kept(session: string): Promise<Set<string>> {
    const log = sessionLog(session)
    const entries = (await this.#ground.send(log, ['XRANGE', log, '-', '+'])) as [string, string[]][]
    return new Set(entries.map(([, fields]) => fields[1]!))
  }

  #account(reader: Reader, { said }: Writer, upTo: number, kept?: Set<string>): void {
    const { isTrimmed, ground } = this.#plan
    const reasons = [...(isTrimmed ? ['trimmed'] : []), ...(ground === 'sentinel' ? ['redis', 'future'] : [])]
    const { complaints, ...sums } = accountOf({
      name: reader.name,
      events: reader.events,
      said,
      upTo,
      isExcused: (reason) => reasons.includes(reason),
      isGone: (n) => ground === 'sentinel' && !isTrimmed && kept?.has(said[n]!.text) === false,
    })
    if (reader.ended !== undefined) this.complain(`${reader.name}: ${reader.ended}`)
    this.#complaints.push(...complaints)
    this.#sums.lost += sums.lost
    this.#sums.told += sums.told
    this.#sums.duplicated += sums.duplicated
    this.#sums.reordered += sums.reordered
    this.#sums.connections += reader.connections
  }
}
