import { AUTH_METHODS, AUTH_RESULTS, type AuthMethod, type AuthResult } from '../contract/reasons.ts'
import { Counter, Gauge, type Registry } from './prometheus.ts'

const PREFIX = 'wsproxy_'

/** What is known of the keys of AUTH_JWKS_URL. */
export interface FetchedKeys {
  /** Undefined: there was no answer yet. */
  readonly ageMs: number | undefined
  readonly fetches: Readonly<Record<'ok' | 'failed', number>>
}

/** The metrics of credentials: of upgrades, of open sockets, and of the keys behind them. */
export class AuthMetrics {
  /** A number for each door, method and result: an upgrade costs no more than a look-up. */
  readonly #upgrades = new Map<string, number>()
  readonly #ended: Counter<'door' | 'reason'>
  readonly #renewed: Counter<'result'>
  #keys: () => FetchedKeys | undefined = () => undefined

  constructor(registry: Registry) {
    const registers = [registry]
    const upgrades = this.#upgrades
    const keys = () => this.#keys()
    new Counter({
      name: `${PREFIX}auth_total`,
      help: 'Credentials of upgrades, by what they were and what was decided',
      labelNames: ['door', 'method', 'result'],
      registers,
      collect() {
        this.reset()
        for (const [key, count] of upgrades) {
          const [door, method, result] = key.split(' ') as [string, string, string]
          this.inc({ door, method, result }, count)
        }
      },
    })
    this.#ended = new Counter({
      name: `${PREFIX}auth_expired_total`,
      help: 'Sockets that were closed because their JWT, or its key, had ended',
      labelNames: ['door', 'reason'],
      registers,
    })
    this.#renewed = new Counter({
      name: `${PREFIX}auth_renewed_total`,
      help: 'New JWTs on open sockets',
      labelNames: ['result'],
      registers,
    })
    for (const result of ['accepted', 'rejected']) this.#renewed.inc({ result }, 0)
    new Gauge({
      name: `${PREFIX}jwks_age_seconds`,
      help: 'Age of the keys of AUTH_JWKS_URL',
      registers,
      collect() {
        this.set((keys()?.ageMs ?? 0) / 1000)
      },
    })
    new Counter({
      name: `${PREFIX}jwks_fetches_total`,
      help: 'Fetches of AUTH_JWKS_URL',
      labelNames: ['result'],
      registers,
      collect() {
        this.reset()
        for (const result of ['ok', 'failed'] as const) this.inc({ result }, keys()?.fetches[result] ?? 0)
      },
    })
  }

  /** Starts every series of a door at zero. */
  begin(door: string): void {
    for (const method of AUTH_METHODS)
      for (const result of AUTH_RESULTS)
        if (isPossible(method, result)) this.#upgrades.set(`${door} ${method} ${result}`, 0)
    for (const reason of ['expired', 'key-removed']) this.#ended.inc({ door, reason }, 0)
  }

  /** Says where the keys are. Until then both of their metrics are 0. */
  register(keys: () => FetchedKeys | undefined): void {
    this.#keys = keys
  }

  /** Counts the credential of an upgrade. */
  judged(door: string, method: AuthMethod, result: AuthResult): void {
    const key = `${door} ${method} ${result}`
    this.#upgrades.set(key, (this.#upgrades.get(key) ?? 0) + 1)
  }

  expired(door: string, reason: 'expired' | 'key-removed'): void {
    this.#ended.inc({ door, reason })
  }

  renewed(isAccepted: boolean): void {
    this.#renewed.inc({ result: isAccepted ? 'accepted' : 'rejected' })
  }
}

/** Only a JWT says by itself that it has expired, and only its keys may be away. */
const isPossible = (method: AuthMethod, result: AuthResult): boolean =>
  method === 'jwt' || result === 'accepted' || result === 'rejected'
