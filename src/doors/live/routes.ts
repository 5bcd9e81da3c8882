import type { Config } from '../../config/table.ts'
import type { Topic } from '../../connection/bind.ts'
import type { Connection } from '../../connection/connection.ts'
import { RATE_NOTICE_MS } from '../../connection/receive.ts'
import { asyncApiText, CONTRACT_VERSION, schemaText } from '../../contract/live/schema.ts'
import { isTopic } from '../../contract/names.ts'
import { BadRequest, checkJson } from '../../http/body.ts'
import { withRedis } from '../../http/refuse.ts'
import { type ApiResponse, json } from '../../http/response.ts'
import type { ApiRequest, Route } from '../../http/routes.ts'
import type { LiveBus } from './bus.ts'
import { MAX_REASON } from './commands.ts'
import { messageFrame, newCorrelationId, now } from './frames.ts'
import { typeProblem } from './messages.ts'
import type { RetainedMessages } from './retained.ts'
import { socketCounts } from './stats.ts'
import { type LiveTopics, updateOf } from './topics.ts'

/** The settings that the endpoints report. */
type PublicLimits = Pick<
  Config,
  | 'liveRate'
  | 'liveRateBurst'
  | 'jsonMaxDepth'
  | 'liveMaxSubscriptions'
  | 'liveMaxDrops'
  | 'livePath'
  | 'liveIdleTimeoutMs'
  | 'wsAuthRequired'
  | 'wsAllowedOrigins'
  | 'allowedOrigins'
>

export interface LiveRouteParts {
  readonly bus: LiveBus
  readonly topics: LiveTopics
  /** Undefined: no topic keeps its last message. */
  readonly retained: RetainedMessages | undefined
  readonly limits: PublicLimits
  readonly maxMessageBytes: number
  readonly sockets: () => readonly Connection[]
  readonly held: () => Iterable<Topic>
  /** Resolves with the number of live sockets since the start. */
  readonly accepted: () => Promise<number>
  /** Resolves with the round trip in ms, or with undefined when Redis does not answer in time. */
  readonly pingRedis: () => Promise<number | undefined>
  readonly draining: () => boolean
  /** Whether topics are for this caller: everyone while the door is open, else operators. */
  readonly isOperator: (request: ApiRequest) => boolean
  /** What runs beside the requests, by name, each measured at this moment. */
  readonly backgroundTasks: () => Readonly<Record<string, boolean>>
  /** Undefined when metrics are not served. */
  readonly metrics: LivePages | undefined
}

/** The metrics of the live door. */
interface LivePages {
  /** In the Prometheus text format. */
  page(): Promise<string>
  /** By name, without the prefix. */
  values(): Promise<Readonly<Record<string, unknown>>>
}

const BASE = '/api/dashboard/websocket'
const SUPPORTED = [CONTRACT_VERSION]
const DEPRECATION = {
  policy: 'Within a major version nothing is removed, narrowed, renamed or made required.',
  notice: 'An older major version is announced in CHANGELOG.md, with a migration note, before it goes.',
}
const VIEWS = ['dashboard', 'agents', 'coordination', 'tasks', 'system'].map((view) => `/api/dashboard/ws/${view}`)

/** The HTTP endpoints of the live door. */
export function liveRoutes(parts: LiveRouteParts): Route[] {
  const get = (path: string, answer: Route['answer']): Route => ({ method: 'GET', path: BASE + path, answer })
  const post = (path: string, answer: Route['answer']): Route => ({
    method: 'POST',
    path: BASE + path,
    admin: true,
    answer,
  })
  const { metrics } = parts
  return [
    get('/stats', (request) => stats(parts, parts.isOperator(request))),
    get('/health', (request) => health(parts, parts.isOperator(request))),
    get('/limits', () => limits(parts)),
    get('/contract', contract),
    get('/contract/schema', () => ({ status: '200 OK', type: 'application/schema+json', body: schemaText })),
    get('/contract/asyncapi', () => ({ status: '200 OK', type: 'application/json', body: asyncApiText })),
    post('/broadcast', (request) => withRedis(() => broadcast(parts, request))),
    post('/disconnect/:id', (request) => withRedis(() => disconnect(parts, request))),
    ...(metrics
      ? [
          {
            method: 'GET',
            path: '/api/dashboard/metrics/websockets',
            answer: async ({ headers }: ApiRequest) =>
              headers.accept.includes('application/json')
                ? json('200 OK', { ...(await metrics.values()), timestamp: now() })
                : page(await metrics.page()),
          } as const,
        ]
      : []),
  ]
}

const page = (body: string): ApiResponse => ({
  status: '200 OK',
  type: 'text/plain; version=0.0.4; charset=utf-8',
  body,
})

async function websocketStats({ sockets, held, accepted, backgroundTasks }: LiveRouteParts, detailed: boolean) {
  const open = sockets()
  const { byType, subscriptions, oldest } = socketCounts(open, held())
  return {
    total_connections: open.length,
    connections_since_start: await accepted(),
    connections_by_type: byType,
    ...(detailed && { subscription_counts: subscriptions }),
    active_connections: open.length,
    oldest_connection: oldest,
    background_tasks_running: Object.values(backgroundTasks()).every(Boolean),
  }
}

async function stats(parts: LiveRouteParts, detailed: boolean): Promise<ApiResponse> {
  return json('200 OK', {
    websocket_stats: await websocketStats(parts, detailed),
    endpoints: [parts.limits.livePath, ...VIEWS],
    ...(detailed && { subscription_types: parts.topics.entries }),
    last_updated: now(),
  })
}

/**
 * The parts of the health score: messages need Redis, new sockets need an instance that does not
 * drain.
 */
const POINTS = { redis: 60, accepting: 40 }

async function health(parts: LiveRouteParts, detailed: boolean): Promise<ApiResponse> {
  const pingMs = await parts.pingRedis()
  const draining = parts.draining()
  const score = (pingMs === undefined ? 0 : POINTS.redis) + (draining ? 0 : POINTS.accepting)
  return json('200 OK', {
    websocket_manager: draining ? 'draining' : 'operational',
    background_tasks: parts.backgroundTasks(),
    connection_stats: await websocketStats(parts, detailed),
    redis_connectivity: pingMs === undefined ? 'unhealthy' : 'healthy',
    ...(pingMs !== undefined && { redis_ping_ms: pingMs }),
    overall_health: { score, status: score === 100 ? 'healthy' : score >= POINTS.redis ? 'degraded' : 'unhealthy' },
    timestamp: now(),
  })
}

const limits = ({ limits: config, maxMessageBytes }: LiveRouteParts): ApiResponse =>
  json('200 OK', {
    rate_limit_tokens_per_second: config.liveRate,
    rate_limit_burst_capacity: config.liveRateBurst,
    rate_limit_notify_cooldown_seconds: RATE_NOTICE_MS / 1000,
    max_inbound_message_bytes: maxMessageBytes,
    max_subscriptions_per_connection: config.liveMaxSubscriptions,
    backpressure_disconnect_threshold: config.liveMaxDrops,
    idle_disconnect_seconds: config.liveIdleTimeoutMs / 1000,
    ws_auth_required: config.wsAuthRequired,
    ws_allowed_origins_configured: (config.wsAllowedOrigins ?? config.allowedOrigins).length > 0,
    contract_version: CONTRACT_VERSION,
    supported_versions: SUPPORTED,
    timestamp: now(),
  })

const contract = (): ApiResponse =>
  json('200 OK', {
    current_version: CONTRACT_VERSION,
    supported_versions: SUPPORTED,
    deprecation_policy: DEPRECATION,
    schema_url: `${BASE}/contract/schema`,
    timestamp: now(),
  })

async function broadcast({ bus, topics, limits, retained }: LiveRouteParts, given: ApiRequest): Promise<ApiResponse> {
  const request = given.body.length === 0 ? { ...given, body: Buffer.from('{}') } : given
  const subscription = request.query.get('subscription') ?? ''
  if (subscription === '') throw new BadRequest('subscription is missing', 'subscription')
  if (!isTopic(subscription) || topics.entryOf(subscription) === undefined) {
    const error = `Invalid subscription: ${subscription}`
    return json('200 OK', { success: false, error, valid_subscriptions: topics.entries, timestamp: now() })
  }
  const type = request.query.get('message_type') ?? updateOf(subscription)
  checkJson(request, limits.jsonMaxDepth)
  const problem = typeProblem(type, subscription, () => request.body)
  if (problem !== undefined) throw new BadRequest(`message_type ${problem}`, 'message_type')
  const correlationId = newCorrelationId()
  const data = request.body.toString('utf8')
  const label = { type, subscription, correlationId }
  // Kept first: a socket that subscribes meanwhile gets the message twice rather than not at all.
  const isKept = await retained?.keep(subscription, () => messageFrame(label, request.body))
  const reached = await bus.request({ what: 'broadcast', topic: subscription, type, data, correlationId })
  return json('200 OK', {
    success: true,
    subscription,
    message_type: type,
    clients_reached: reached,
    ...(isKept !== undefined && { retained: isKept }),
    correlation_id: correlationId,
    timestamp: now(),
  })
}

async function disconnect(
  { bus }: LiveRouteParts,
  { params: [connectionId = ''], query }: ApiRequest,
): Promise<ApiResponse> {
  const reason = (query.get('reason') ?? '').slice(0, MAX_REASON)
  const found = await bus.request({ what: 'disconnect', connectionId, reason })
  if (found > 0) return json('200 OK', { success: true, connection_id: connectionId, reason, timestamp: now() })
  // Clients of older systems read the body, whose status is 200.
  const error = `No live socket has the id ${connectionId}.`
  return json('200 OK', { success: false, error, connection_id: connectionId, timestamp: now() })
}
