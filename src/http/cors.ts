import { refusals } from '../contract/codes.ts'
import type { HttpRequest, HttpResponse } from '../platform/uws.ts'
import { isOwnOrigin } from './own-page.ts'
import { respond } from './refuse.ts'

/** Headers that let a page of another origin read an answer. */
export type Cors = Readonly<Record<string, string>>

/**
 * Returns the headers for the page that asks; undefined: its origin is not allowed. A page of the
 * gateway's own origin needs no list, and no headers to read the answer.
 * @param corsOf the headers for another origin.
 */
export function corsFor(req: HttpRequest, corsOf: (origin: string) => Cors | undefined): Cors | undefined {
  const origin = req.getHeader('origin')
  return corsOf(origin) ?? (isOwnOrigin(origin, req.getHeader('host')) ? {} : undefined)
}

const ALLOWED = {
  'Access-Control-Allow-Methods': 'GET, POST',
  'Access-Control-Allow-Headers': 'Authorization, Content-Type, Idempotency-Key, Last-Event-ID',
  'Access-Control-Max-Age': '600',
} as const

/**
 * Answers what a browser asks before a request with headers of its own to another origin.
 * @param cors undefined: the origin is not allowed.
 */
export function preflight(res: HttpResponse, cors: Cors | undefined): void {
  if (cors === undefined) return respond(res, refusals['origin-not-allowed'])
  res.cork(() => {
    res.writeStatus('204 No Content')
    for (const [name, value] of Object.entries({ ...cors, ...ALLOWED })) res.writeHeader(name, value)
    res.endWithoutBody()
  })
}
