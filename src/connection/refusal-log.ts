import type { Refusal } from '../contract/codes.ts'
import { KeyedRate, rateOf } from '../platform/rate.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Door } from './door.ts'

/** Log lines a second, and at once, for the refusals of one code. */
const LINES = 10
const LINES_BURST = 100

/** What a line says of a door, also of `NO_DOOR`. */
export type LoggedDoor = Pick<Door, 'name' | 'subjectName'>

/** Logs refused upgrades by sample: a flood of refusals must not flood the log. */
export class RefusalLog {
  readonly #log: Logger
  /** The log lines of each refusal code. */
  readonly #lines = new KeyedRate(rateOf(LINES, LINES_BURST))
  /** Refusals without a line since the last line. */
  #unlogged = 0

  constructor(log: Logger) {
    this.#log = log
  }

  /** Logs a refusal, or counts it for the next line. `why` is for the log only. */
  write(door: LoggedDoor, remote: string, refusal: Refusal, why?: string, subject?: string): void {
    if (!this.#log.isLevelEnabled('info')) return
    if (!this.#lines.take(refusal.code, performance.now())) return void this.#unlogged++
    const conn = { door: door.name, [door.subjectName]: subject, remote }
    const skipped = this.#unlogged === 0 ? undefined : this.#unlogged
    this.#unlogged = 0
    this.#log.info({ event: 'refused', conn, code: refusal.code, why, skipped }, 'connection refused')
  }
}
