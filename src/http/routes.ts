import { setImmediate as turn } from 'node:timers/promises'
import { type Refusal, refusals } from '../contract/codes.ts'
import type { Role } from '../contract/roles.ts'
import { bearerToken } from '../platform/secrets.ts'
import type { HttpRequest, HttpResponse, TemplatedApp } from '../platform/uws.ts'
import type { Admin } from './admin.ts'
import { BadRequest, MAX_BODY_BYTES, readBody } from './body.ts'
import type { ClientAddress, ClientAddresses } from './client-address.ts'
import { type Cors, corsFor, preflight } from './cors.ts'
import { refused, refuseUnclear, respond } from './refuse.ts'
import type { ApiResponse } from './response.ts'
import { write, writeAndClose } from './write.ts'

/** A request, copied whole before the first await. */
export interface ApiRequest {
  readonly method: string
  /** The `:name` parts of the path, decoded, in order. */
  readonly params: readonly string[]
  readonly query: URLSearchParams
  /** Headers that some endpoint reads, by their lower-case names; '' when absent. */
  readonly headers: Readonly<Record<(typeof HEADERS)[number], string>>
  /** Empty for GET and HEAD. */
  readonly body: Buffer
  readonly client: ClientAddress
  /** Whether the end of the body is known from its chunks only. */
  readonly chunked: boolean
  /** Of an admin call: `token`, `cookie`, or the id of the user. */
  readonly actor?: string
}

/** One method of one path. */
export interface Route {
  /** `GET` answers HEAD too. */
  readonly method: 'GET' | 'POST'
  /** `/api/things/:id`. */
  readonly path: string
  /** Needs admin rights. A request without them is refused before its body is read. */
  readonly admin?: true
  /** The smallest role that has them. Default: admin. */
  readonly role?: Role
  /** A POST must be application/json even without a cookie. */
  readonly json?: true
  /** Default 64 KiB. A larger body is refused with 413. */
  readonly maxBodyBytes?: number
  /**
   * Pages of other origins may call it. Returns the headers for one, or undefined for an origin
   * that may not.
   */
  readonly cors?: (origin: string) => Cors | undefined
  /** Answers before the body is read, unless that is large or chunked. Undefined: `answer` does. */
  readonly early?: (request: ApiRequest) => ApiResponse | undefined
  readonly answer: (request: ApiRequest) => ApiResponse | Promise<ApiResponse>
}

const HEADERS = [
  'accept',
  'authorization',
  'content-type',
  'cookie',
  'host',
  'idempotency-key',
  'origin',
  'sec-fetch-site',
  'x-forwarded-proto',
] as const
/** What all routes share. */
export interface Serving {
  readonly admin: Admin
  readonly addresses: ClientAddresses
  readonly fault: (error: unknown) => void
  /** Called with each finished POST that an operator made. */
  readonly acted: (action: AdminAction) => void
  /** Called with each call that the role of a user does not allow. */
  readonly denied?: (call: Pick<AdminAction, 'path' | 'actor' | 'address'>) => void
  /**
   * Whether a page may send the cookies of its browser. Undefined: the type of the body decides
   * alone.
   */
  readonly ownPage?: ((headers: Readonly<Record<string, string>>) => boolean) | undefined
}

interface AdminAction {
  readonly path: string
  /** `token`, `cookie` (that of a sign-in), or the id of the user. */
  readonly actor: string
  readonly address: string
  readonly status: number
}

/** Serves the routes. Other methods of their paths are refused with 405. */
export function serve(app: TemplatedApp, routes: readonly Route[], serving: Serving): void {
  const { admin, addresses } = serving
  for (const path of new Set(routes.map((route) => route.path))) {
    const here = routes.filter((route) => route.path === path)
    const allow = here.flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method])).join(', ')
    app.any(path, (res, req) => {
      if (refuseUnclear(res, req, addresses.relayed)) return
      const method = req.getMethod().toUpperCase()
      const corsOf = here.find(({ cors }) => cors)?.cors
      const cors = corsOf && corsFor(req, corsOf)
      if (corsOf !== undefined && (method === 'OPTIONS' || cors === undefined)) return preflight(res, cors)
      const route = here.find((each) => each.method === (method === 'HEAD' ? 'GET' : method))
      if (!route) return respond(res, { ...refusals['method-not-allowed'], headers: { Allow: allow } })
      let request: ApiRequest | undefined
      try {
        request = copy(res, req, method, path, addresses)
      } catch {
        return respond(res, { ...refusals['bad-request'], message: 'The path is not valid percent-encoding.' })
      }
      const refusal = (route.admin && admin.authorize(request, route.role)) ?? forged(request, route, serving.ownPage)
      if (refusal === refusals['role-required'])
        serving.denied?.({ path, actor: admin.actorOf(request.headers), address: request.client.ip })
      if (refusal) return respond(res, refusal)
      const early = isSmall(req, route) ? route.early?.(request) : undefined
      if (early) return write(res, early, false)
      void answer(res, route, { ...request, cors }, serving)
    })
  }
}

/** Whether the library may drop the body: its end is known, and it is small. */
const isSmall = (req: HttpRequest, { maxBodyBytes = MAX_BODY_BYTES }: Route): boolean =>
  req.getHeader('transfer-encoding') === '' && Number(req.getHeader('content-length')) <= maxBodyBytes

/**
 * CSRF guard: a POST with a cookie, or of a route that says so, must be application/json. A page of
 * another origin cannot send that without a CORS preflight (Fetch standard, CORS-safelisted request
 * headers), which the gateway answers for allowed origins only. A bearer token is exempt, since it
 * needs the same. Other schemes are not: a browser adds the password of a proxy by itself.
 */
function forged({ method, headers }: ApiRequest, { json }: Route, ownPage: Serving['ownPage']): Refusal | undefined {
  if (method !== 'POST' || (headers.cookie === '' && !json)) return undefined
  if (bearerToken(headers.authorization) !== undefined) return undefined
  if (headers.cookie !== '' && ownPage?.(headers) === false) return refusals['origin-not-allowed']
  if (/^application\/json\b/i.test(headers['content-type'])) return undefined
  return {
    ...refusals['bad-request'],
    message: 'A login, a sign-out and every POST with a cookie must have the Content-Type application/json.',
  }
}

/** @throws URIError when a part of the path cannot be decoded. */
function copy(
  res: HttpResponse,
  req: HttpRequest,
  method: string,
  path: string,
  addresses: ClientAddresses,
): ApiRequest {
  const params = path.match(/:\w+/g) ?? []
  return {
    method,
    params: params.map((_, i) => decodeURIComponent(req.getParameter(i) ?? '')),
    query: new URLSearchParams(req.getQuery() ?? ''),
    headers: Object.fromEntries(HEADERS.map((name) => [name, req.getHeader(name)])) as ApiRequest['headers'],
    body: Buffer.alloc(0),
    client: addresses.of(res, req, performance.now()),
    chunked: req.getHeader('transfer-encoding') !== '',
  }
}

async function answer(
  res: HttpResponse,
  route: Route,
  request: ApiRequest & { cors: Cors | undefined },
  { admin, fault, acted }: Serving,
): Promise<void> {
  const actor = route.admin ? admin.actorOf(request.headers) : ''
  let aborted = false
  let gone = () => {}
  res.onAborted(() => {
    aborted = true
    gone()
  })
  let response: ApiResponse
  let resume = () => {}
  try {
    const body =
      route.method === 'POST'
        ? await readBody(res, route.maxBodyBytes ?? MAX_BODY_BYTES, (stop) => {
            gone = stop
          })
        : request.body
    if (aborted) return
    if (body === undefined) return respond(res, { ...refusals['body-too-large'], headers: request.cors ?? {} })
    // uWebSockets.js takes junk between chunks, so a proxy in front may see another end of this
    // body. While the answer is pending it reads nothing behind it, and then the connection closes.
    if (request.chunked) await turn()
    if (aborted) return
    resume = pauseSoon(res, () => aborted)
    response = await route.answer({ ...request, body, actor })
  } catch (error) {
    response = responseTo(error, fault)
  }
  resume()
  if (route.admin && route.method === 'POST') acted(actionOf(request, route, response, actor))
  if (aborted) return
  if (request.cors) response = { ...response, headers: { ...response.headers, ...request.cors } }
  if (request.chunked) writeAndClose(res, response)
  else write(res, response, request.method === 'HEAD')
}

/**
 * Stops reading when the answer is not there at the end of this turn of the event loop:
 * uWebSockets.js cuts a connection whose next request comes before the answer. Returns what goes on
 * reading. An answer that needs no I/O is written before the library looks at further bytes, and
 * costs no call here.
 */
function pauseSoon(res: HttpResponse, isGone: () => boolean): () => void {
  let paused = false
  const pause = setImmediate(() => {
    paused = !isGone()
    if (paused) res.pause()
  })
  return () => {
    clearImmediate(pause)
    if (paused && !isGone()) res.resume()
  }
}

function actionOf(
  { params, client }: ApiRequest,
  { path }: Route,
  { status }: ApiResponse,
  actor: string,
): AdminAction {
  let part = 0
  return {
    path: path.replace(/:\w+/g, () => params[part++] ?? ''),
    actor,
    address: client.ip,
    status: Number.parseInt(status, 10),
  }
}

function responseTo(error: unknown, fault: (error: unknown) => void): ApiResponse {
  if (error instanceof BadRequest) {
    const { message, field } = error
    return refused({ ...refusals['bad-request'], message, field })
  }
  fault(error)
  return refused(refusals['internal-error'])
}
