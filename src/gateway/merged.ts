import type { WorkerResponse, WorkersState } from '../contract/workers.ts'
import { type ApiResponse, json } from '../http/response.ts'
import { mergePages, withValue } from '../telemetry/merged-pages.ts'

/** One answer of the answers of all workers. */

/** What is known of an answer in all workers. */
export interface Merging extends WorkersState {
  readonly own: ApiResponse
  /** The answers of the other workers that came in time. */
  readonly others: readonly WorkerResponse[]
  /** The numbers of those that were silent. */
  readonly silent: readonly number[]
}

type Body = Record<string, unknown>
type Counts = Record<string, number>

const bodyOf = ({ body }: { readonly body: string | Buffer }): Body => JSON.parse(String(body)) as Body
const bodiesOf = ({ own, others }: Merging): Body[] => [own, ...others].map(bodyOf)
const isOk = ({ status }: { readonly status: string }): boolean => status.startsWith('200')
const sum = (bodies: readonly Body[], key: string): number =>
  bodies.reduce((total, body) => total + Number(body[key] ?? 0), 0)

function sumEach(bodies: readonly Body[], key: string): Counts {
  const sums: Counts = {}
  for (const body of bodies)
    for (const [name, count] of Object.entries((body[key] ?? {}) as Counts)) sums[name] = (sums[name] ?? 0) + count
  return Object.fromEntries(Object.entries(sums).sort())
}

/** Whether at least half of the answers are good, and one is. */
const isMostly = (good: number, all: number): boolean => good > 0 && good * 2 >= all

const workersOf = ({ wanted, missing, silent, restarts }: Merging) => ({
  wanted,
  answering: wanted - missing,
  ...(silent.length > 0 && { silent }),
  restarts,
})

/** All pages of metrics in one. What concerns the workers together comes from their supervisor. */
export function mergePage(all: Merging): ApiResponse {
  const { own, others, former, wanted, missing, restarts, startedAt } = all
  let page = mergePages([String(own.body), ...others.map(({ body }) => body)], former)
  page = withValue(page, 'wsproxy_workers', wanted)
  page = withValue(page, 'wsproxy_workers_missing', missing)
  page = withValue(page, 'wsproxy_worker_restarts_total', restarts)
  page = withValue(page, 'process_start_time_seconds', Math.round(startedAt / 1000))
  return { ...own, body: page }
}

/** `/health`: healthy while at least half of the workers are; one without Redis is `degraded`. */
export function mergeHealth(all: Merging): ApiResponse {
  const bodies = bodiesOf(all)
  const states = bodies.map(({ redis }) => redis as { status: string; ping_ms?: number })
  const up = states.filter(({ status }) => status !== 'down')
  const isHealthy = isMostly(up.length, bodies.length)
  const isUp = states.every(({ status }) => status === 'up')
  const slowest = Math.max(...up.map(({ ping_ms: ms = 0 }) => ms))
  return json(isHealthy ? '200 OK' : '503 Service Unavailable', {
    ...bodies[0],
    status: isHealthy ? 'healthy' : 'unhealthy',
    redis: isHealthy ? { status: isUp ? 'up' : 'degraded', ping_ms: slowest } : { status: 'down' },
    connections: sum(bodies, 'connections'),
    uptime_seconds: Math.round((Date.now() - all.startedAt) / 1000),
    workers: workersOf(all),
  })
}

/**
 * `/ready`: ready while at least half of the workers are. The others refuse upgrades that the
 * kernel gives them, and their clients come back.
 */
export function mergeReady(all: Merging): ApiResponse {
  // A worker that is being replaced drains, and takes no new connection.
  const answers = [...(all.isCurrent ? [all.own] : []), ...all.others]
  const ready = answers.filter(isOk)
  const chosen = isMostly(ready.length, answers.length)
    ? [all.own, ...ready].find((each) => ready.includes(each))
    : answers.find((each) => !isOk(each))
  if (chosen === undefined) return all.own
  const missing = Math.max(all.missing, answers.length - ready.length)
  const response = { ...all.own, status: chosen.status, body: chosen.body }
  if (!isOk(chosen) || missing === 0) return response
  const body = bodyOf(chosen)
  const degraded = [...((body.degraded ?? []) as object[]), { name: 'workers' }]
  return json(chosen.status, { ...body, degraded, workers: workersOf(all) })
}

/** `/version`: while workers are replaced by those of another version, all versions. */
export function mergeVersion(all: Merging): ApiResponse {
  const bodies = bodiesOf(all)
  const versions = [...new Set(bodies.map(({ version }) => version))]
  return json('200 OK', { ...bodies[0], workers: all.wanted, ...(versions.length > 1 && { versions }) })
}

function connectionStats(bodies: readonly Body[]): Body {
  const oldest = bodies.map((each) => each.oldest_connection as string | null).filter((each) => each !== null)
  return {
    ...bodies[0],
    total_connections: sum(bodies, 'total_connections'),
    connections_since_start: sum(bodies, 'connections_since_start'),
    connections_by_type: sumEach(bodies, 'connections_by_type'),
    ...('subscription_counts' in bodies[0]! && { subscription_counts: sumEach(bodies, 'subscription_counts') }),
    active_connections: sum(bodies, 'active_connections'),
    oldest_connection: oldest.sort()[0] ?? null,
    background_tasks_running: bodies.every((each) => each.background_tasks_running),
  }
}

/** The counts of the live door, over all workers. */
export function mergeLiveStats(all: Merging): ApiResponse {
  const bodies = bodiesOf(all)
  const stats = connectionStats(bodies.map((each) => each.websocket_stats as Body))
  return { ...all.own, body: JSON.stringify({ ...bodies[0], websocket_stats: stats }) }
}

/** The health of the live door: that of the worker with the least. */
export function mergeLiveHealth(all: Merging): ApiResponse {
  const bodies = bodiesOf(all)
  const score = (body: Body) => (body.overall_health as { score: number }).score
  const worst = bodies.reduce((least, each) => (score(each) < score(least) ? each : least))
  const tasks = bodies.map((each) => each.background_tasks as Record<string, boolean>)
  const background = Object.fromEntries(Object.keys(tasks[0]!).map((name) => [name, tasks.every((each) => each[name])]))
  const stats = connectionStats(bodies.map((each) => each.connection_stats as Body))
  return { ...all.own, body: JSON.stringify({ ...worst, background_tasks: background, connection_stats: stats }) }
}

/** The metrics of the live door, as a page or as JSON. */
export function mergeLiveMetrics(all: Merging): ApiResponse {
  const { own, others, former } = all
  if (!own.type.includes('json'))
    return { ...own, body: mergePages([String(own.body), ...others.map(({ body }) => body)], former) }
  const bodies = bodiesOf(all)
  const merged = Object.entries(bodies[0]!).map(([name, value]) => {
    if (typeof value === 'number') return [name, sum(bodies, name)]
    return [name, typeof value === 'object' ? sumEach(bodies, name) : value]
  })
  return { ...own, body: JSON.stringify(Object.fromEntries(merged)) }
}
