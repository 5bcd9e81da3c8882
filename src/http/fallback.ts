import { type Refusal, refusals } from '../contract/codes.ts'
import type { HttpRequest, TemplatedApp } from '../platform/uws.ts'
import { respond } from './refuse.ts'
import { ids } from './request.ts'

/** What this file needs to know of a door. */
export interface Endpoint {
  readonly shape: RegExp
  readonly admit: (ids: readonly string[]) => object | Refusal
}

/** Requests to a door that are no upgrade, or not one that uWebSockets.js takes for one; and all paths that nothing has. */
export function serveRest<D extends Endpoint>(
  app: TemplatedApp,
  doors: readonly D[],
  counted: (door: D, refusal: Refusal) => void,
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

function whyNoUpgrade(req: HttpRequest, door: Endpoint): Refusal {
  if (req.getMethod() !== 'get') return { ...refusals['method-not-allowed'], headers: { Allow: 'GET' } }
  const admission = door.admit(ids(door.shape, req))
  if ('code' in admission) return admission
  return req.getHeader('upgrade') === '' ? refusals['upgrade-required'] : refusals['malformed-request']
}
