import type { Refusal } from '../contract/codes.ts'
import type { HttpResponse } from '../platform/uws.ts'

/** Writes a refusal and closes the connection after it. */
export function respond(res: HttpResponse, refusal: Refusal): void {
  const { code, status, message, headers = {}, retryAfter } = refusal
  res.cork(() => {
    res.writeStatus(status).writeHeader('Content-Type', 'application/json')
    for (const [name, value] of Object.entries(headers)) res.writeHeader(name, value)
    // Spread, so that those who were refused together do not come back together.
    if (retryAfter) res.writeHeader('Retry-After', String(1 + Math.floor(Math.random() * 4)))
    res.end(JSON.stringify({ error: { code, message } }), true)
  })
}
