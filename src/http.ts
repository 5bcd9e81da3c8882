import type { Door } from './connection/accept.ts'
import { ids, respond } from './connection/request.ts'
import { type Refusal, refusals } from './contract/codes.ts'
import type { HttpRequest, HttpResponse, TemplatedApp } from './uws.ts'

/** What an endpoint answers. */
export interface Answer {
  readonly status: string
  readonly type: string
  readonly body: string
}

const json = (status: string, body: object): Answer => ({
  status,
  type: 'application/json',
  body: JSON.stringify(body),
})

/** What the endpoints need to know. */
export interface HttpParts {
  /** Resolves with the round trip in ms, or undefined when Redis did not answer within `deadlineMs`. */
  readonly pingRedis: (deadlineMs: number) => Promise<number | undefined>
  readonly redisReady: () => boolean
  readonly draining: () => boolean
  readonly sockets: () => number
  readonly version: Readonly<Record<string, string>>
  /** Undefined: not served. */
  readonly metrics: (() => Promise<Answer>) | undefined
  readonly fault: (error: unknown) => void
}

/** How long Redis may take for an instance to be called healthy. */
const HEALTHY_MS = 250

export type Endpoint = () => Answer | Promise<Answer>

/** `GET` endpoints by path; those that load balancers ask stay with the doors when there is an admin port. */
export function endpoints(parts: HttpParts): { probes: Record<string, Endpoint>; admin: Record<string, Endpoint> } {
  const startedAt = Date.now()
  return {
    probes: {
      '/health': async () => {
        const redisMs = await parts.pingRedis(HEALTHY_MS)
        const healthy = redisMs !== undefined
        return json(healthy ? '200 OK' : '503 Service Unavailable', {
          status: healthy ? 'healthy' : 'unhealthy',
          redis: healthy ? { status: 'up', ping_ms: redisMs } : { status: 'down' },
          connections: parts.sockets(),
          uptime_seconds: Math.round((Date.now() - startedAt) / 1000),
        })
      },
      '/ready': () => {
        const reason = parts.draining() ? 'draining' : parts.redisReady() ? undefined : 'redis-unavailable'
        return reason === undefined
          ? json('200 OK', { status: 'ready' })
          : json('503 Service Unavailable', { status: 'not ready', reason })
      },
    },
    admin: {
      ...(parts.metrics && { '/metrics': parts.metrics }),
      '/version': () => json('200 OK', parts.version),
    },
  }
}

/** Serves `GET` and `HEAD` of each path; other methods get 405. */
export function serve(
  app: TemplatedApp,
  routes: Readonly<Record<string, Endpoint>>,
  fault: (error: unknown) => void,
): void {
  for (const [path, endpoint] of Object.entries(routes)) {
    app.any(path, (res, req) => {
      const method = req.getMethod()
      if (method !== 'get' && method !== 'head') {
        return respond(res, { ...refusals['method-not-allowed'], headers: { Allow: 'GET, HEAD' } })
      }
      void answer(res, endpoint, method === 'head', fault)
    })
  }
}

async function answer(
  res: HttpResponse,
  endpoint: Endpoint,
  head: boolean,
  fault: (error: unknown) => void,
): Promise<void> {
  let aborted = false
  res.onAborted(() => {
    aborted = true
  })
  const { status, type, body } = await Promise.resolve()
    .then(endpoint)
    .catch((error): Answer => {
      fault(error)
      const { code, message, status } = refusals['internal-error']
      return json(status, { error: { code, message } })
    })
  if (aborted) return
  res.cork(() => {
    res.writeStatus(status).writeHeader('Content-Type', type).writeHeader('Cache-Control', 'no-store')
    // The length as a header of ours: told to endWithoutBody, uWebSockets.js waits for that body and answers nothing more.
    if (head) res.writeHeader('Content-Length', String(Buffer.byteLength(body))).endWithoutBody()
    else res.end(body)
  })
}

/** Requests to a door that are no upgrade, or not one that uWebSockets.js takes for one; and all paths that nothing has. */
export function serveRest(
  app: TemplatedApp,
  doors: readonly Door[],
  counted: (door: Door, refusal: Refusal) => void,
): void {
  app.any('/*', (res, req) => {
    const url = req.getUrl()
    const door = doors.find((each) => each.shape.test(url))
    if (door === undefined) return respond(res, refusals['not-found'])
    const refusal = whyNoUpgrade(req, door)
    counted(door, refusal)
    respond(res, refusal)
  })
}

function whyNoUpgrade(req: HttpRequest, door: Door): Refusal {
  if (req.getMethod() !== 'get') return { ...refusals['method-not-allowed'], headers: { Allow: 'GET' } }
  const visit = door.admit(ids(door, req))
  if ('code' in visit) return visit
  return req.getHeader('upgrade') === '' ? refusals['upgrade-required'] : refusals['malformed-request']
}
