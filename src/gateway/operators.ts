import type { Config } from '../config/table.ts'
import { Admin, type AdminRequest, type CallerOf } from '../http/admin.ts'
import type { Serving } from '../http/routes.ts'
import { KeyedRate } from '../platform/rate.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { LineSampler } from '../telemetry/sampler.ts'

/** Log lines for wrong admin tokens, all addresses together: ten at once, then one a second. */
const LINES = { intervalMs: 1000, burst: 10 }

/** The check of admin calls, counted; wrong tokens are logged by sample. */
export function operators(
  token: string | undefined,
  metrics: Metrics,
  log: Logger,
  callerOf: CallerOf | undefined,
): Admin {
  const lines = new KeyedRate(LINES)
  return new Admin(
    token,
    (result, address) => {
      metrics.adminCalls.inc({ result })
      if (result === 'accepted' || !lines.take('', performance.now())) return
      log.warn({ event: 'admin-refused', address, result }, 'an admin call had a wrong token')
    },
    callerOf,
  )
}

/** Counts and logs admin calls that the role of a user does not allow, each user by sample. */
export function deniedCalls(metrics: Metrics, log: Logger): NonNullable<Serving['denied']> {
  const lines = new LineSampler()
  return (call) => {
    metrics.users.roleDenials.inc({ type: 'call' })
    const skipped = lines.take(call.actor)
    if (skipped !== undefined)
      log.warn({ event: 'role-denied', ...call, skipped }, 'the role of a user does not allow a call')
  }
}

/**
 * Returns a predicate: whether details are for a caller. It has the admin token, or this is a
 * gateway for development that has neither that token nor a port for operators.
 */
export function isOperator(
  { adminToken, adminPort, nodeEnv, authLogin }: Pick<Config, 'adminToken' | 'adminPort' | 'nodeEnv' | 'authLogin'>,
  admin: Admin,
): (request: AdminRequest) => boolean {
  if (adminToken !== undefined || authLogin) return (request) => admin.authorize(request, 'operator') === undefined
  return () => adminPort === undefined && nodeEnv !== 'production'
}
