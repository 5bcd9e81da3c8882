import { type Refusal, refusals } from '../contract/codes.ts'
import type { HttpRequest, HttpResponse, TemplatedApp } from '../platform/uws.ts'
import type { Admin } from './admin.ts'
import { refused, respond } from './refuse.ts'
import type { ApiResponse } from './response.ts'

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
  /** Who asks, as the socket says. */
  readonly address: string
}

/** One method of one path. */
export interface Route {
  /** `GET` answers HEAD too. */
  readonly method: 'GET' | 'POST'
  /** `/api/things/:id`. */
  readonly path: string
  /** Needs `ADMIN_TOKEN`; who has none is refused before a body is read. */
  readonly admin?: true
  /** Default 64 KiB; past it 413. */
  readonly maxBodyBytes?: number
  readonly answer: (asked: ApiRequest) => ApiResponse | Promise<ApiResponse>
}

/** Thrown by an endpoint: 400 with this message, and with the field that is wrong. */
export class BadRequest extends Error {
  readonly field: string | undefined

  constructor(message: string, field?: string) {
    super(message)
    this.field = field
  }
}

const HEADERS = ['accept', 'authorization', 'content-type', 'cookie', 'origin', 'x-forwarded-proto'] as const
const MAX_BODY_BYTES = 64 * 1024

/** The body as JSON. @throws BadRequest when it is not. */
export function parseJson({ body }: ApiRequest): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    throw new BadRequest('The body is not JSON.')
  }
}

/** Serves each route; another method of a path that is known gets 405. */
export function serve(
  app: TemplatedApp,
  routes: readonly Route[],
  { admin, fault }: { admin: Admin; fault: (error: unknown) => void },
): void {
  for (const path of new Set(routes.map((route) => route.path))) {
    const here = routes.filter((route) => route.path === path)
    const allow = here.flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method])).join(', ')
    app.any(path, (res, req) => {
      const method = req.getMethod().toUpperCase()
      const route = here.find((each) => each.method === (method === 'HEAD' ? 'GET' : method))
      if (!route) return respond(res, { ...refusals['method-not-allowed'], headers: { Allow: allow } })
      let asked: ApiRequest | undefined
      try {
        asked = copy(res, req, method, path)
      } catch {
        return respond(res, { ...refusals['bad-request'], message: 'The path is not valid percent-encoding.' })
      }
      const refusal = (route.admin && admin.check(asked.headers)) ?? forged(asked)
      if (refusal) return respond(res, refusal)
      void answer(res, route, asked, fault)
    })
  }
}

/**
 * A page of another origin can make a browser post with its cookies, but not as JSON without asking first (Fetch standard, CORS-safelisted
 * request headers), and nobody answers that. Who brings a token is no such page.
 */
function forged({ method, headers }: ApiRequest): Refusal | undefined {
  if (method !== 'POST' || headers.cookie === '' || headers.authorization !== '') return undefined
  if (/^application\/json\b/i.test(headers['content-type'])) return undefined
  return { ...refusals['bad-request'], message: 'A POST with a cookie must have the Content-Type application/json.' }
}

/** @throws URIError when a part of the path cannot be decoded. */
function copy(res: HttpResponse, req: HttpRequest, method: string, path: string): ApiRequest {
  const params = path.match(/:\w+/g) ?? []
  return {
    method,
    params: params.map((_, i) => decodeURIComponent(req.getParameter(i) ?? '')),
    query: new URLSearchParams(req.getQuery() ?? ''),
    headers: Object.fromEntries(HEADERS.map((name) => [name, req.getHeader(name)])) as ApiRequest['headers'],
    body: Buffer.alloc(0),
    address: Buffer.from(res.getRemoteAddressAsText()).toString('latin1'),
  }
}

async function answer(
  res: HttpResponse,
  route: Route,
  asked: ApiRequest,
  fault: (error: unknown) => void,
): Promise<void> {
  let aborted = false
  let gone = () => {}
  res.onAborted(() => {
    aborted = true
    gone()
  })
  let given: ApiResponse
  try {
    const body =
      route.method === 'POST'
        ? await readBody(res, route.maxBodyBytes ?? MAX_BODY_BYTES, (stop) => {
            gone = stop
          })
        : asked.body
    if (aborted) return
    if (body === undefined) return respond(res, refusals['body-too-large'])
    given = await route.answer({ ...asked, body })
  } catch (error) {
    given = answerTo(error, fault)
  }
  if (!aborted) write(res, given, asked.method === 'HEAD')
}

function answerTo(error: unknown, fault: (error: unknown) => void): ApiResponse {
  if (error instanceof BadRequest) {
    const { message, field } = error
    return refused({ ...refusals['bad-request'], message, field })
  }
  fault(error)
  return refused(refusals['internal-error'])
}

/** Resolves with undefined when it is larger than that. */
function readBody(
  res: HttpResponse,
  maxBytes: number,
  onGone: (stop: () => void) => void,
): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let bytes = 0
    onGone(() => resolve(undefined))
    res.onData((chunk, isLast) => {
      bytes += chunk.byteLength
      if (bytes > maxBytes) return resolve(undefined)
      // The chunk is uWebSockets.js' own and only valid during the call.
      chunks.push(Buffer.from(chunk.slice(0)))
      if (isLast) resolve(Buffer.concat(chunks))
    })
  })
}

function write(res: HttpResponse, { status, type, body, headers = {} }: ApiResponse, head: boolean): void {
  res.cork(() => {
    res.writeStatus(status).writeHeader('Content-Type', type)
    for (const [name, value] of Object.entries({ 'Cache-Control': 'no-store', ...headers }))
      res.writeHeader(name, value)
    // The length as a header of ours: told to endWithoutBody, uWebSockets.js waits for that body and answers nothing more.
    if (head) res.writeHeader('Content-Length', String(Buffer.byteLength(body))).endWithoutBody()
    else res.end(body)
  })
}
