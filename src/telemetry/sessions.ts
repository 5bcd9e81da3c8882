import { GRADES, HOLE_RESULTS, type HoleResult, RESUME_RESULTS } from '../contract/reasons.ts'
import { Counter, type Registry } from './prometheus.ts'
import { scrapedCounter } from './scraped.ts'

const PREFIX = 'wsproxy_'

/** The metrics of numbered messages. Counts that rise with each message are plain numbers. */
export class SessionMetrics {
  readonly resumes: Counter<'grade' | 'result'>
  readonly lagging: Counter
  replayed = 0
  unnumbered = 0
  readonly #holes: Counter<'result'>

  constructor(registry: Registry) {
    const registers = [registry]
    this.resumes = new Counter({
      name: `${PREFIX}resume_total`,
      help: 'Sockets that came with a cursor, by what they got',
      labelNames: ['grade', 'result'],
      registers,
    })
    this.lagging = new Counter({
      name: `${PREFIX}lagging_total`,
      help: 'Sockets that were too slow and went on from the log',
      registers,
    })
    this.#holes = new Counter({
      name: `${PREFIX}holes_total`,
      help: 'Numbers of a session that its channel did not bring',
      labelNames: ['result'],
      registers,
    })
    for (const result of RESUME_RESULTS) for (const grade of GRADES) this.resumes.inc({ grade, result }, 0)
    for (const result of HOLE_RESULTS) this.#holes.inc({ result }, 0)
    scrapedCounter(registry, 'replayed_messages_total', 'Messages that sockets got from a log', () => this.replayed)
    const help = 'Messages without a number for sockets that count'
    scrapedCounter(registry, 'unnumbered_messages_total', help, () => this.unnumbered)
  }

  /** Counts numbers that did not arrive from the channel of their session. */
  hole(result: HoleResult): void {
    this.#holes.inc({ result })
  }
}
