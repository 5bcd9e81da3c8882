import type { Config } from '../config/table.ts'
import { Admin, type AdminRequest } from '../http/admin.ts'
import { KeyedRate } from '../platform/rate.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'

/** Log lines for wrong admin tokens, all addresses together: ten at once, then one a second. */
const LINES = { intervalMs: 1000, burst: 10 }

/** The check of admin calls, counted; wrong tokens are logged by sample. */
export function operators(token: string | undefined, metrics: Metrics, log: Logger): Admin {
  const lines = new KeyedRate(LINES)
  return new Admin(token, (result, address) => {
    metrics.adminCalls.inc({ result })
    if (result === 'accepted' || !lines.take('', performance.now())) return
    log.warn({ event: 'admin-refused', address, result }, 'an admin call had a wrong token')
  })
}

/**
 * Returns a predicate: whether details are for a caller. It has the admin token, or this is a
 * gateway for development that has neither that token nor a port for operators.
 */
export function isOperator(
  { adminToken, adminPort, nodeEnv }: Pick<Config, 'adminToken' | 'adminPort' | 'nodeEnv'>,
  admin: Admin,
): (request: AdminRequest) => boolean {
  if (adminToken !== undefined) return (request) => admin.authorize(request) === undefined
  return () => adminPort === undefined && nodeEnv !== 'production'
}
