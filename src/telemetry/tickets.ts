import { TICKET_RESULTS, type TicketResult } from '../contract/reasons.ts'
import { Counter, Gauge, type Registry } from './prometheus.ts'
import { scrapedCounter } from './scraped.ts'

const PREFIX = 'wsproxy_'

/** What an instance knows of the set of revocations. */
interface KnownSet {
  readonly entries: number
  /** How many there may be. */
  readonly limit: number
  /** Seconds since it was read, or since the start. */
  readonly age: number
}

/** The metrics of resume tickets and of the set that revokes tickets and JWTs. */
export class TicketMetrics {
  /** Tickets that were sent. */
  issued = 0
  readonly #judged: Counter<'result'>
  #set: () => KnownSet = () => ({ entries: 0, limit: 0, age: 0 })

  constructor(registry: Registry) {
    const registers = [registry]
    this.#judged = new Counter({
      name: `${PREFIX}tickets_judged_total`,
      help: 'Resume tickets that clients brought, by whether and why not they were accepted',
      labelNames: ['result'],
      registers,
    })
    for (const result of TICKET_RESULTS) this.#judged.inc({ result }, 0)
    scrapedCounter(registry, 'tickets_issued_total', 'Resume tickets that were sent', () => this.issued)
    const gauge = (name: string, help: string, read: () => number) =>
      new Gauge({
        name: PREFIX + name,
        help,
        registers,
        collect() {
          this.set(read())
        },
      })
    gauge('revoked_entries', 'What this instance refuses: sessions, sids, jtis and subs', () => this.#set().entries)
    gauge('revoked_limit', 'How many revocations are kept at most (AUTH_REVOKED_MAX)', () => this.#set().limit)
    gauge('revoked_age_seconds', 'Time since the set of revocations was read', () => this.#set().age)
  }

  judged(result: TicketResult): void {
    this.#judged.inc({ result })
  }

  /** Says where the set is. Until then its metrics are 0. */
  register(set: () => KnownSet): void {
    this.#set = set
  }
}
