import { LOGIN_RESULTS } from '../contract/reasons.ts'
import { Counter, type Registry } from './prometheus.ts'

const PREFIX = 'wsproxy_'

/** The metrics of users that log in, and of what their roles do not allow. */
export class UserMetrics {
  readonly logins: Counter<'result'>
  readonly roleDenials: Counter<'type'>

  constructor(registry: Registry) {
    const registers = [registry]
    this.logins = new Counter({
      name: `${PREFIX}login_total`,
      help: 'Logins and refreshes of users',
      labelNames: ['result'],
      registers,
    })
    this.roleDenials = new Counter({
      name: `${PREFIX}role_denials_total`,
      help: 'What roles did not allow',
      labelNames: ['type'],
      registers,
    })
    for (const result of LOGIN_RESULTS) this.logins.inc({ result }, 0)
    for (const type of ['call', 'topic']) this.roleDenials.inc({ type }, 0)
  }
}
