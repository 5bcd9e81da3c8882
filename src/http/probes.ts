import { type ApiResponse, json } from './response.ts'
import type { Route } from './routes.ts'
import { type RunningParts, running } from './running.ts'

/** The state that the probes report. */
export interface ProbeParts extends RunningParts {
  /**
   * Resolves with the round trip in ms, or with undefined when Redis does not answer within
   * `deadlineMs`.
   */
  readonly pingRedis: (deadlineMs: number) => Promise<number | undefined>
  /** Whether a part of Redis is away that fewer than half of the names need. */
  readonly redisPartial: () => boolean
  /** Answers whether upgrades are accepted, in detail for operators only. */
  readonly ready: (detailed: boolean) => Promise<ApiResponse>
  readonly sockets: () => number
  readonly version: Readonly<Record<string, string>>
  /** The version of the live door's contract. */
  readonly liveContract: string
  /** Undefined when metrics are not served. */
  readonly metrics: (() => Promise<ApiResponse>) | undefined
}

/** An instance is healthy when Redis answers a PING within this time, in ms. */
export const HEALTHY_MS = 250

const get = (path: string, answer: Route['answer']): Route => ({ method: 'GET', path, answer })

/**
 * The endpoints for load balancers. They stay on the port of the doors when there is an admin port.
 */
export function probes(parts: ProbeParts): Route[] {
  const startedAt = Date.now()
  const ready: Route['answer'] = (request) => parts.ready(parts.isOperator(request))
  const health = async () => {
    const redisMs = await parts.pingRedis(HEALTHY_MS)
    const healthy = redisMs !== undefined
    return json(healthy ? '200 OK' : '503 Service Unavailable', {
      status: healthy ? 'healthy' : 'unhealthy',
      redis: healthy ? { status: parts.redisPartial() ? 'degraded' : 'up', ping_ms: redisMs } : { status: 'down' },
      connections: parts.sockets(),
      uptime_seconds: Math.round((Date.now() - startedAt) / 1000),
      ws_contract_version: parts.liveContract,
    })
  }
  return [
    get('/health', health),
    // Some monitors ask by POST.
    { method: 'POST', path: '/health', answer: health },
    get('/livez', () => json('200 OK', { status: 'alive' })),
    get('/ready', ready),
    // The name that Kubernetes gives it.
    get('/readyz', ready),
  ]
}

/** The endpoints for operators, on the admin port when there is one. */
export function about(parts: ProbeParts): Route[] {
  return [
    ...(parts.metrics ? [get('/metrics', parts.metrics)] : []),
    get('/version', () => json('200 OK', parts.version)),
    running(parts),
  ]
}
