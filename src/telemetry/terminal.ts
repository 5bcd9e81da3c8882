import { printable, timeOfDay } from '../platform/printable.ts'

type Fields = Readonly<Record<string, unknown>>

/** ANSI colours by level; lines of other levels are grey. */
const COLOURS: Readonly<Record<string, number>> = { info: 32, warn: 33, error: 31, fatal: 31 }
/** What the banner of `wsproxy serve` says as well. */
const IN_BANNER = new Set(['listening', 'bus-off', 'open-to-anybody'])
/** Fields that the head of a line shows already, or that say nothing to a reader. */
const HIDDEN = new Set(['level', 'time', 'msg', 'event', 'err', 'conn'])
/** Of an outage only the first loss counts. */
const ATTEMPT = new Set(['failures', 'pauseMs', 'link'])

export interface TerminalLogOptions {
  readonly colours: boolean
  /** Whether to print every line: each attempt to reconnect, and what the banner says. */
  readonly everything: boolean
  readonly write: (text: string) => void
}

/**
 * Turns the JSON lines of the log into lines for people: time, level, message, and the fields as
 * `name=value`. An outage of Redis is one line, and another one when all its links are back.
 */
export class TerminalLog {
  readonly #options: TerminalLogOptions
  readonly #lostLinks = new Set<string>()
  #lostAt: number | undefined

  constructor(options: TerminalLogOptions) {
    this.#options = options
  }

  /** Takes one line of the log. */
  write(line: string): void {
    const fields = JSON.parse(line) as Fields
    if (!this.#options.everything) {
      if (IN_BANNER.has(String(fields.event))) return
      const shown = this.#outage(fields)
      if (shown !== undefined) {
        if (shown !== false) this.#print(shown)
        return
      }
    }
    this.#print(fields)
  }

  /** Returns false for a line to leave out, and undefined for a line that is about no outage. */
  #outage(fields: Fields): Fields | false | undefined {
    const at = Date.parse(String(fields.time))
    const link = String(fields.link)
    if (fields.event === 'redis-lost') {
      this.#lostLinks.add(link)
      if (this.#lostAt !== undefined) return false
      this.#lostAt = at
      const rest = Object.entries(fields).filter(([name]) => !ATTEMPT.has(name))
      return { ...Object.fromEntries(rest), msg: 'Redis is away: trying again until it is back' }
    }
    if (fields.event === 'redis-subscribed') return false
    if (fields.event !== 'redis-ready') return undefined
    this.#lostLinks.delete(link)
    if (this.#lostAt === undefined || this.#lostLinks.size > 0) return false
    const seconds = (at - this.#lostAt) / 1000
    this.#lostAt = undefined
    return { level: fields.level, time: fields.time, msg: `Redis is back after ${seconds.toFixed(1)} s` }
  }

  #print(fields: Fields): void {
    const { level, time, msg, err, conn } = fields
    const word = String(level).padEnd(5)
    const code = COLOURS[String(level)] ?? 90
    const head = this.#options.colours ? `\u001b[${code}m${word}\u001b[0m` : word
    const values = Object.entries({ ...(conn as Fields | undefined), ...fields })
      .filter(([name]) => !HIDDEN.has(name))
      .map(
        ([name, value]) =>
          `${name}=${typeof value === 'string' && /^[^\s"]+$/.test(value) ? value : JSON.stringify(value)}`,
      )
    const text = printable([msg, ...values].join('  '))
    this.#options.write(`${timeOfDay(new Date(String(time)))} ${head} ${text}\n${stackOf(err)}`)
  }
}

/** The stack of a logged error, indented, each of its lines made printable. */
function stackOf(err: unknown): string {
  const { stack, message } = (err ?? {}) as Record<string, unknown>
  const text = typeof stack === 'string' ? stack : typeof message === 'string' ? message : ''
  return text === ''
    ? ''
    : `${text
        .split('\n')
        .map((line) => `  ${printable(line)}`)
        .join('\n')}\n`
}
