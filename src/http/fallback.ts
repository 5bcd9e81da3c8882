import { type Refusal, refusals } from '../contract/codes.ts'
import type { HttpRequest, TemplatedApp } from '../platform/uws.ts'
import type { PathPattern } from './path.ts'
import { refuseUnclear, respond } from './refuse.ts'

/** A door, as far as a request that is no upgrade concerns it. */
export interface Endpoint {
  readonly path: PathPattern
  readonly admit: (ids: readonly string[]) => { readonly kind: 'admission' } | Refusal
}

/**
 * Answers every request that no other route takes: 404 for an unknown path, and for the path of a
 * door the reason why the request is no upgrade. `counted` is called with each refusal of a door.
 */
export function serveRest<D extends Endpoint>(
  app: TemplatedApp,
  doors: readonly D[],
  counted: (door: D, refusal: Refusal) => void,
): void {
  app.any('/*', (res, req) => {
    if (refuseUnclear(res, req)) return
    const url = req.getUrl()
    for (const door of doors) {
      const ids = door.path.match(url)
      if (ids === undefined) continue
      const refusal = whyNoUpgrade(req, door.admit(ids))
      counted(door, refusal)
      return respond(res, refusal)
    }
    respond(res, refusals['not-found'])
  })
}

function whyNoUpgrade(req: HttpRequest, admitted: ReturnType<Endpoint['admit']>): Refusal {
  if (req.getMethod() !== 'get') return { ...refusals['method-not-allowed'], headers: { Allow: 'GET' } }
  if (admitted.kind === 'refusal') return admitted
  return req.getHeader('upgrade') === '' ? refusals['upgrade-required'] : refusals['malformed-request']
}
