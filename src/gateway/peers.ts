import {
  COUNTERS,
  METRICS,
  type Question,
  type WorkerAnswers,
  type WorkerCall,
  type WorkerResponse,
} from '../contract/workers.ts'
import { type ApiResponse, json } from '../http/response.ts'
import type { ApiRequest, Route } from '../http/routes.ts'
import { shared } from '../platform/shared.ts'
import {
  type Merging,
  mergeHealth,
  mergeLiveHealth,
  mergeLiveMetrics,
  mergeLiveStats,
  mergePage,
  mergeReady,
  mergeVersion,
} from './merged.ts'

/** The other workers on the same port, asked for their answers to one call. */
export interface Peers {
  /** Undefined: their supervisor is gone, or does not answer in time. */
  ask(question: Question): Promise<WorkerAnswers | undefined>
  /** Says what answers the calls that others pass on. */
  serve(answer: (call: WorkerCall) => Promise<WorkerResponse | undefined>): void
  /** Takes the last page of metrics of this worker. */
  last(page: string): Promise<void>
}

interface Merge {
  readonly merge: (all: Merging) => ApiResponse
  readonly withinMs: number
  /** Whether the credentials of the caller decide what the others say. */
  readonly asCaller?: true
  /** Whether callers at the same moment share one question: the others say the same to each. */
  readonly isProbe?: true
  /** Whether the others are asked, by the own answer. Default: always. */
  readonly isNeeded?: (own: ApiResponse) => boolean
}

/** A balancer gives up after a second or two. */
const PROBE_MS = 500
const PAGE_MS = 1500
const LIVE = 'GET /api/dashboard'

const MERGES: Readonly<Record<string, Merge>> = {
  [METRICS]: { merge: mergePage, withinMs: PAGE_MS },
  'GET /health': { merge: mergeHealth, withinMs: PROBE_MS, isProbe: true },
  'POST /health': { merge: mergeHealth, withinMs: PROBE_MS, isProbe: true },
  'GET /ready': { merge: mergeReady, withinMs: PROBE_MS, isProbe: true },
  'GET /readyz': { merge: mergeReady, withinMs: PROBE_MS, isProbe: true },
  'GET /version': { merge: mergeVersion, withinMs: PROBE_MS, isProbe: true },
  [`${LIVE}/websocket/stats`]: { merge: mergeLiveStats, withinMs: PAGE_MS, asCaller: true },
  [`${LIVE}/websocket/health`]: { merge: mergeLiveHealth, withinMs: PAGE_MS, asCaller: true },
  [`${LIVE}/metrics/websockets`]: { merge: mergeLiveMetrics, withinMs: PAGE_MS },
}

/** Of no endpoint: the sessions of each agent, which clients of the live door ask for. */
const SESSIONS = 'sessions by agent'
type Counts = ReadonlyMap<string, number>

const UNKNOWN = json('503 Service Unavailable', { message: 'The supervisor of the workers does not answer.' })

/** The frame of a client whose stream another worker holds. */
const STREAM_POST: Merge = {
  merge: ({ own, others }) => others.find(isKnown) ?? own,
  withinMs: PAGE_MS,
  asCaller: true,
  isNeeded: (own) => !isKnown(own),
}
const isKnown = ({ status }: { readonly status: string }): boolean => !status.startsWith('404')

/**
 * Returns the routes with the answers of all workers where one worker knows only a part.
 * @param maxAgeMs how old a page of metrics may be.
 * @param sessions the sessions of each agent in this worker, for `sessionsOfAll` of the others.
 */
export function withPeers(routes: readonly Route[], peers: Peers, maxAgeMs: number, sessions: () => Counts): Route[] {
  const originals = new Map<string, Route>()
  const ask = joining(peers)
  const merged = routes.map((route): Route => {
    const name = `${route.method} ${route.path}`
    const merge = route.path.endsWith('/sse/:connectionId') ? STREAM_POST : MERGES[name]
    if (merge === undefined) return route
    originals.set(name, route)
    const answer = (request: ApiRequest) => answerOfAll(name, route, merge, ask, request)
    if (name !== METRICS) return { ...route, answer }
    let latest: ApiRequest | undefined
    const page = shared(maxAgeMs, () => answer(latest!))
    return {
      ...route,
      answer: (request) => {
        latest = request
        return page()
      },
    }
  })
  peers.serve(async ({ route, request }) => {
    if (route === SESSIONS) return { status: '200 OK', type: '', body: JSON.stringify([...sessions()]) }
    const original = originals.get(route)
    return original && toPeer(await original.answer(fromPeer(request as Passed)))
  })
  return merged
}

/** Adds up the sessions of each agent in this worker and in the others that answer in time. */
export async function sessionsOfAll(peers: Peers | undefined, own: () => Counts): Promise<Counts> {
  const all = await peers?.ask({ call: { route: SESSIONS, request: undefined }, withinMs: PROBE_MS })
  const sums = new Map(own())
  for (const { response } of all?.answers ?? [])
    for (const [agent, count] of JSON.parse(response?.body ?? '[]') as [string, number][])
      sums.set(agent, (sums.get(agent) ?? 0) + count)
  return sums
}

type Ask = (question: Question, isProbe: boolean) => Promise<WorkerAnswers | undefined>

/**
 * Returns how the peers are asked. While a probe is under way, others of its endpoint wait for the
 * same answers: a flood of probes must not become one of messages to all workers.
 */
function joining(peers: Peers): Ask {
  const underWay = new Map<string, Promise<WorkerAnswers | undefined>>()
  return (question, isProbe) => {
    if (!isProbe) return peers.ask(question)
    const { route } = question.call
    const known = underWay.get(route)
    if (known !== undefined) return known
    const asked = peers.ask(question).finally(() => underWay.delete(route))
    underWay.set(route, asked)
    return asked
  }
}

async function answerOfAll(name: string, route: Route, merge: Merge, ask: Ask, request: ApiRequest) {
  const { withinMs, asCaller = false, isProbe = false, isNeeded } = merge
  const call = { route: name, request: toPass(request, asCaller) }
  // The others are asked at the same time, unless the own answer goes with the question.
  const isFirst = isNeeded !== undefined || name === METRICS
  const early = isFirst ? undefined : ask({ call, withinMs }, isProbe)
  const own = await route.answer(request)
  if (isNeeded?.(own) === false) return own
  const page = name === METRICS ? String(own.body) : undefined
  const all = await (early ?? ask({ call, withinMs, page }, isProbe))
  // The counters of one worker would be less than those of all before.
  if (all === undefined) return COUNTERS.has(name) ? UNKNOWN : own
  const others = all.answers.flatMap(({ response }) => response ?? [])
  const silent = all.answers.filter(({ response }) => response === undefined).map(({ worker }) => worker)
  return merge.merge({ ...all.state, own, others, silent })
}

/** A request as it goes through IPC. */
type Passed = Omit<ApiRequest, 'query' | 'body'> & { readonly query: string; readonly body: string }

function toPass({ query, body, headers, ...rest }: ApiRequest, asCaller: boolean): Passed {
  const passed = asCaller ? headers : { ...headers, authorization: '', cookie: '' }
  return { ...rest, headers: passed, query: query.toString(), body: body.toString('base64') }
}

const fromPeer = ({ query, body, ...rest }: Passed): ApiRequest => ({
  ...rest,
  query: new URLSearchParams(query),
  body: Buffer.from(body, 'base64'),
})

const toPeer = ({ status, type, body }: ApiResponse): WorkerResponse => ({ status, type, body: String(body) })
