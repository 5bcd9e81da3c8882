import { setTimeout as sleep } from 'node:timers/promises'
import { sessionDown, sessionLog, sessionMeta } from '../../../src/contract/names.ts'
import { SAY_TEXT } from '../../../src/redis/session-say.ts'
import { Random } from '../random.ts'
import { type Said, textOf } from './account.ts'
import type { Ground } from './ground.ts'

const EPOCH = 'k00000000abc'
const PAUSE_MS = 8
const FLOOD_BYTES = 32 * 1024
const PADDING = 'x'.repeat(FLOOD_BYTES)

export interface WriterOptions {
  /** It counts by itself, with two commands a message, and loses some of the second ones. */
  readonly isCounting: boolean
  readonly isSharded: boolean
  /** Entries that its log keeps. */
  readonly entries: number
  readonly seed: number
}

/** The agent of one session: it numbers its messages and knows which ones Redis has confirmed. */
export class Writer {
  readonly session: string
  readonly said: Said[] = []
  readonly #ground: Ground
  readonly #options: WriterOptions
  readonly #random: Random
  #offset = 0
  #isOver = false
  #isStopped = false
  #running: Promise<void> | undefined

  constructor(ground: Ground, session: string, options: WriterOptions) {
    this.#ground = ground
    this.session = session
    this.#options = options
    this.#random = new Random(options.seed)
  }

  /** Makes the log with its first message. */
  async start(): Promise<void> {
    if (this.#options.isCounting) await this.#send('HSETNX', [sessionMeta(this.session), 'e', EPOCH])
    await this.#confirmed('the first')
    this.#running = this.#run()
  }

  /** Says much at once. */
  async flood(messages: number): Promise<void> {
    for (let i = 0; i < messages && !this.#isOver; i++) await this.#say(PADDING)
  }

  /** Stops and says a message that is confirmed for certain. Returns its number. */
  async finish(): Promise<number> {
    this.#isOver = true
    await this.#running
    return this.#confirmed('the end')
  }

  /** Stops, whatever Redis has confirmed. */
  stop(): void {
    this.#isOver = true
    this.#isStopped = true
  }

  /** Says a message until Redis has confirmed it. Returns its number. */
  async #confirmed(padding: string): Promise<number> {
    for (;;) {
      const n = await this.#say(padding, false)
      if (this.said[n]!.offset > 0 || this.#isStopped) return n
      await sleep(50)
    }
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      const burst = this.#random.chance(0.05) ? 20 : 1
      for (let i = 0; i < burst; i++) await this.#say(burst > 1 ? PADDING.slice(0, this.#random.int(0, 2000)) : '')
      await sleep(PAUSE_MS)
    }
  }

  async #say(padding: string, isLossy = true): Promise<number> {
    const n = this.said.length
    const text = textOf(n, padding)
    this.said.push({ text, offset: 0 })
    const say = this.#options.isCounting ? this.#count(text, isLossy) : this.#script(text)
    const offset = await say.catch(() => 0)
    this.said[n] = { text, offset }
    return n
  }

  async #script(text: string): Promise<number> {
    const { entries, isSharded } = this.#options
    const [log, meta] = [sessionLog(this.session), sessionMeta(this.session)]
    const limits = ['3600', String(entries), String(2 ** 30), isSharded ? 'sharded' : '']
    const offset = Number(await this.#send('EVAL', [SAY_TEXT, '2', log, meta, text, ...limits]))
    await this.#confirm()
    return offset
  }

  async #count(text: string, isLossy: boolean): Promise<number> {
    const { entries, isSharded } = this.#options
    const offset = ++this.#offset
    const log = [sessionLog(this.session), 'MAXLEN', '~', String(entries), `0-${offset}`, 'm', text]
    await this.#send('XADD', log)
    await this.#confirm()
    const message = `\x1e${EPOCH}.${offset}\x1e${text}`
    const publish = isSharded ? 'SPUBLISH' : 'PUBLISH'
    if (!isLossy || this.#random.chance(0.9))
      await this.#send(publish, [sessionDown(this.session), message]).catch(() => {})
    return offset
  }

  async #confirm(): Promise<void> {
    const { replicas } = this.#ground
    if (replicas === 0) return
    const had = Number(await this.#send('WAIT', [String(replicas), '1000']))
    if (had < replicas) throw new Error('a fail-over may lose it')
  }

  #send(name: string, rest: readonly string[]): Promise<unknown> {
    return this.#ground.send(sessionLog(this.session), [name, ...rest])
  }
}
