import { parseDuration } from '../../config/kinds.ts'
import { refusals } from '../../contract/codes.ts'
import { ADMIN_COOKIE, ADMIN_COOKIE_S, type Admin } from '../../http/admin.ts'
import { BadRequest, parseJson } from '../../http/body.ts'
import { refused, withRedis } from '../../http/refuse.ts'
import { type ApiResponse, json } from '../../http/response.ts'
import type { ApiRequest, Route } from '../../http/routes.ts'
import type { Launch, Report } from '../check.ts'
import { bucketsOf, DAY_MS, type Stats, statsOf } from '../reports/counts.ts'
import type { ReportQuery, Reports } from '../reports/reports.ts'
import { TooManyRuns } from '../runner.ts'
import { monitoringPage } from './page.ts'
import { InvalidField, launchOf } from './request.ts'

export interface PreflightRouteParts {
  readonly admin: Admin
  readonly reports: Reports
  readonly run: (launch: Launch, triggeredBy?: string) => Promise<Report>
}

const MAX_BODY_BYTES = 16 * 1024
const MAX_LIMIT = 200
const DEFAULT_LIMIT = 50
const MAX_WINDOW_MS = 366 * DAY_MS

/** The HTTP API of preflight: runs, reports, statistics, and the page that shows them. */
export function routes({ admin, reports, run }: PreflightRouteParts): Route[] {
  return [runRoute(run), ...reportRoutes(reports), ...pageRoutes(admin, reports)]
}

const runRoute = (run: PreflightRouteParts['run']): Route => ({
  method: 'POST',
  path: '/api/preflight/run',
  admin: true,
  role: 'operator',
  maxBodyBytes: MAX_BODY_BYTES,
  answer: async (request) => {
    const { launch, triggeredBy } = runRequest(request)
    try {
      const report = await run(launch, triggeredBy ?? 'api')
      const blocks = launch.mode === 'full' && !report.healthy
      return json(blocks ? '412 Precondition Failed' : '200 OK', report)
    } catch (error) {
      if (error instanceof TooManyRuns) return refused({ ...refusals['at-capacity'], message: error.message })
      throw error
    }
  },
})

function reportRoutes(reports: Reports): Route[] {
  const read = (path: string, answer: (request: ApiRequest) => Promise<ApiResponse>): Route => ({
    method: 'GET',
    path,
    admin: true,
    role: 'operator',
    answer: (request) => withRedis(() => answer(request)),
  })
  return [
    read('/api/preflight/reports', async ({ query }) => json('200 OK', await reports.list(reportQuery(query)))),
    read('/api/preflight/reports/:id', async ({ params: [id = ''] }) => {
      const report = await reports.find(id)
      return report === undefined ? refused(refusals['not-found']) : json('200 OK', report)
    }),
    read('/api/preflight/stats', async ({ query }) => {
      rejectUnknown(query, ['window'])
      const window = query.get('window') ?? '24h'
      const windowMs = parseDuration(window) ?? 0
      if (windowMs <= 0 || windowMs > MAX_WINDOW_MS)
        throw new BadRequest('window: must be a duration such as 24h', 'window')
      return json('200 OK', { window, ...(await statsFor(windowMs, reports)) })
    }),
  ]
}

function pageRoutes(admin: Admin, reports: Reports): Route[] {
  const page = monitoringPage()
  const recent = async (): Promise<ApiResponse> => {
    const [{ topFailures, ...stats }, { reports: recentReports }] = await Promise.all([
      statsFor(DAY_MS, reports),
      reports.list({ limit: DEFAULT_LIMIT }),
    ])
    return json('200 OK', { stats, topFailures, recentReports })
  }
  return [
    {
      method: 'GET',
      path: '/admin/monitoring',
      answer: (request) => {
        if (!request.headers.accept.includes('application/json')) return page
        const refusal = admin.authorize(request, 'operator')
        return refusal ? refused(refusal) : withRedis(recent)
      },
    },
    {
      method: 'POST',
      path: '/admin/sign-in',
      maxBodyBytes: MAX_BODY_BYTES,
      answer: (request) => signIn(admin, request),
    },
    // A form of another site gets no cookie sent (SameSite), and the answer could still remove it.
    { method: 'POST', path: '/admin/sign-out', json: true, answer: ({ headers }) => cookieResponse('', 0, headers) },
  ]
}

async function statsFor(windowMs: number, reports: Reports): Promise<Stats> {
  const now = Date.now()
  const buckets = bucketsOf(windowMs, now)
  return statsOf(buckets, await reports.counts(buckets), now)
}

/** Exchanges the token for a cookie that scripts cannot read and other sites cannot send. */
function signIn(admin: Admin, request: ApiRequest): ApiResponse {
  const { token } = (parseJson(request) ?? {}) as { token?: unknown }
  if (typeof token !== 'string') throw new BadRequest('token: must be a string', 'token')
  const refusal = admin.signIn(token, request.client)
  return refusal ? refused(refusal) : cookieResponse(admin.grant(), ADMIN_COOKIE_S, request.headers)
}

/** Sets the admin cookie, or clears it when its lifetime is 0 s. */
function cookieResponse(value: string, lifeS: number, headers: ApiRequest['headers']): ApiResponse {
  // The first proxy talks to the browser. Without its header, the origin of the page decides.
  const [scheme = ''] = headers['x-forwarded-proto'].split(',')
  const encrypted = scheme.trim().toLowerCase() === 'https' || headers.origin.startsWith('https://')
  const secure = encrypted ? '; Secure' : ''
  const cookie = `${ADMIN_COOKIE}=${value}; HttpOnly; SameSite=Strict; Path=/; Max-Age=${lifeS}${secure}`
  return json('200 OK', { signed_in: lifeS > 0 }, { 'Set-Cookie': cookie })
}

function runRequest(request: ApiRequest): ReturnType<typeof launchOf> {
  try {
    return launchOf(request.body.length === 0 ? {} : parseJson(request))
  } catch (error) {
    if (error instanceof InvalidField) throw new BadRequest(error.message, error.field)
    throw error
  }
}

/** @throws BadRequest naming the first invalid parameter. */
function reportQuery(query: URLSearchParams): ReportQuery {
  rejectUnknown(query, ['limit', 'event_type', 'healthy', 'before'])
  const limit = Number(query.get('limit') ?? DEFAULT_LIMIT)
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT)
    throw new BadRequest(`limit: must be a whole number from 1 to ${MAX_LIMIT}`, 'limit')
  const healthy = query.get('healthy')
  if (healthy !== null && healthy !== 'true' && healthy !== 'false')
    throw new BadRequest('healthy: must be true or false', 'healthy')
  const eventType = query.get('event_type')
  const before = query.get('before')
  return {
    limit,
    ...(healthy !== null && { healthy: healthy === 'true' }),
    ...(eventType !== null && { eventType }),
    ...(before !== null && { before: positionOf(before) }),
  }
}

/** A stream position: the `next` of an answer, or a time. */
function positionOf(before: string): string {
  if (/^\d{1,15}(-\d{1,15})?$/.test(before)) return before
  const at = /^\d{4}-\d{2}-\d{2}T/.test(before) ? Date.parse(before) : Number.NaN
  if (Number.isNaN(at) || at < 0)
    throw new BadRequest('before: must be `next` of an answer, or an RFC 3339 time', 'before')
  return String(at)
}

function rejectUnknown(query: URLSearchParams, names: readonly string[]): void {
  for (const name of query.keys()) if (!names.includes(name)) throw new BadRequest(`${name}: no such parameter`, name)
}
