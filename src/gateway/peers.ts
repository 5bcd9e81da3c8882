import type { ApiResponse } from '../http/response.ts'
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
  type PeerResponse,
  type PeersState,
} from './merged.ts'

/** The other workers on the same port, asked for their answers to one call. */
export interface Peers {
  /** Undefined: their supervisor is gone. */
  ask(question: PeerQuestion): Promise<PeerAnswers | undefined>
  /** Says what answers the calls that others pass on. */
  serve(answer: (call: PeerCall) => Promise<PeerResponse | undefined>): void
  /** Takes the last page of metrics of this worker. */
  last(page: string): Promise<void>
}

interface PeerCall {
  /** Method and path of the endpoint. */
  readonly route: string
  readonly request: unknown
}

interface PeerQuestion {
  readonly call: PeerCall
  /** Workers that need longer are left out, in ms. */
  readonly withinMs: number
  /** The own page of metrics, where the question is about metrics. */
  readonly page?: string | undefined
}

interface PeerAnswers {
  /** Without a response a worker was silent. */
  readonly answers: readonly { readonly worker: number; readonly response?: PeerResponse | undefined }[]
  readonly state: PeersState
}

interface Merge {
  readonly merge: (all: Merging) => ApiResponse
  readonly withinMs: number
  /** Whether the credentials of the caller decide what the others say. */
  readonly asCaller?: true
  /** Whether the others are asked, by the own answer. Default: always. */
  readonly isNeeded?: (own: ApiResponse) => boolean
}

/** A balancer gives up after a second or two. */
const PROBE_MS = 500
const PAGE_MS = 1500
const METRICS = 'GET /metrics'
const LIVE = 'GET /api/dashboard'

const MERGES: Readonly<Record<string, Merge>> = {
  [METRICS]: { merge: mergePage, withinMs: PAGE_MS },
  'GET /health': { merge: mergeHealth, withinMs: PROBE_MS },
  'POST /health': { merge: mergeHealth, withinMs: PROBE_MS },
  'GET /ready': { merge: mergeReady, withinMs: PROBE_MS },
  'GET /readyz': { merge: mergeReady, withinMs: PROBE_MS },
  'GET /version': { merge: mergeVersion, withinMs: PROBE_MS },
  [`${LIVE}/websocket/stats`]: { merge: mergeLiveStats, withinMs: PAGE_MS, asCaller: true },
  [`${LIVE}/websocket/health`]: { merge: mergeLiveHealth, withinMs: PAGE_MS, asCaller: true },
  [`${LIVE}/metrics/websockets`]: { merge: mergeLiveMetrics, withinMs: PAGE_MS },
}

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
 */
export function withPeers(routes: readonly Route[], peers: Peers, maxAgeMs: number): Route[] {
  const originals = new Map<string, Route>()
  const merged = routes.map((route): Route => {
    const name = `${route.method} ${route.path}`
    const merge = route.path.endsWith('/sse/:connectionId') ? STREAM_POST : MERGES[name]
    if (merge === undefined) return route
    originals.set(name, route)
    const answer = (request: ApiRequest) => answerOfAll(name, route, merge, peers, request)
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
    const original = originals.get(route)
    return original && toPeer(await original.answer(fromPeer(request as Passed)))
  })
  return merged
}

async function answerOfAll(name: string, route: Route, merge: Merge, peers: Peers, request: ApiRequest) {
  const { withinMs, asCaller = false, isNeeded } = merge
  const call = { route: name, request: toPass(request, asCaller) }
  // The others are asked at the same time, unless the own answer goes with the question.
  const isFirst = isNeeded !== undefined || name === METRICS
  const early = isFirst ? undefined : peers.ask({ call, withinMs })
  const own = await route.answer(request)
  if (isNeeded?.(own) === false) return own
  const page = name === METRICS ? String(own.body) : undefined
  const all = await (early ?? peers.ask({ call, withinMs, page }))
  if (all === undefined) return own
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

const toPeer = ({ status, type, body }: ApiResponse): PeerResponse => ({ status, type, body: String(body) })
