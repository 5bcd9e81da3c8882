import { CONTRACT_VERSION } from '../contract/live/schema.ts'
import type { Admin } from '../http/admin.ts'
import { landing } from '../http/landing.ts'
import { about, type ProbeParts, probes } from '../http/probes.ts'
import type { ApiResponse } from '../http/response.ts'
import type { Route } from '../http/routes.ts'
import { shared } from '../platform/shared.ts'
import { VERSION } from '../platform/version.ts'
import type { Preflight } from '../preflight/preflight.ts'
import { aliasPage } from '../telemetry/aliases.ts'
import { instance } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Core } from './core.ts'
import type { liveDoor } from './live.ts'
import { isOperator } from './operators.ts'
import type { GatewayOptions } from './options.ts'
import { withPeers } from './peers.ts'

/** What answers the routes. */
export interface RouteParts {
  readonly core: Core
  readonly metrics: Metrics
  readonly preflight: Preflight
  readonly admin: Admin
  readonly live: Pick<ReturnType<typeof liveDoor>, 'routes' | 'publicRoutes'>
  readonly loginCalls: readonly Route[]
  /** The sessions of each agent in this process. */
  readonly sessionsByAgent: () => ReadonlyMap<string, number>
}

/** Returns the probes, and the other routes, which move to the admin port when there is one. */
export function allRoutes(options: GatewayOptions, parts: RouteParts): { probes: Route[]; rest: Route[] } {
  const { core, metrics, preflight, admin, live, loginCalls } = parts
  const { config, settings = [] } = options
  const answers: ProbeParts = {
    pingRedis: (deadlineMs) => core.redis.ping(deadlineMs),
    redisPartial: () => !core.redis.ready,
    ready: (detailed) => preflight.ready(detailed),
    isOperator: isOperator(config, admin),
    hasToken: config.adminToken !== undefined,
    settings,
    redis: preflight.redisAddress,
    sockets: () => core.sockets.size,
    version: { name: 'wsproxy', version: VERSION, node: process.version },
    liveContract: CONTRACT_VERSION,
    metrics: config.metricsEnabled
      ? shared(config.metricsMaxAgeMs, () => metricsPage(metrics, config.metricsAliases))
      : undefined,
  }
  const rest = [...about(answers), ...preflight.routes(admin), ...live.routes]
  const { landingPage, runDoor, runPath, livePath, tlsCert } = config
  const doors = { encrypted: tlsCert !== undefined, runPath: runDoor ? runPath : undefined, livePath }
  const open = [...live.publicRoutes, ...loginCalls, ...(landingPage ? [landing(doors)] : [])]
  const first = [...probes(answers), ...open]
  const peers = options.sharing?.peers
  if (peers === undefined) return { probes: first, rest }
  const all = withPeers([...first, ...rest], peers, config.metricsMaxAgeMs, parts.sessionsByAgent)
  return { probes: all.slice(0, first.length), rest: all.slice(first.length) }
}

async function metricsPage(metrics: Metrics, aliases: readonly string[]): Promise<ApiResponse> {
  const page = await metrics.page()
  return {
    status: '200 OK',
    type: metrics.registry.contentType,
    body: page + aliasPage(page, aliases, instance, metrics.live.types),
  }
}
