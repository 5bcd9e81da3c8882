import { type Refusal, refusals } from '../contract/codes.ts'
import type { HttpRequest, HttpResponse, TemplatedApp } from '../platform/uws.ts'
import { mistyped, notFoundAt } from './hints.ts'
import type { PathPattern } from './path.ts'
import { refuseUnclear, respond } from './refuse.ts'

/** A door, as far as a request that is no upgrade concerns it. */
export interface Endpoint {
  readonly path: PathPattern
  readonly admit: (ids: readonly string[]) => { readonly kind: 'admission' } | Refusal
}

/** What happens with requests that no other route takes. */
export interface Rest<D> {
  /** Called with each refusal of a door. */
  readonly counted: (door: D, refusal: Refusal) => void
  /** Refuses an upgrade on a path that no door has. */
  readonly unknown: (res: HttpResponse, req: HttpRequest, refusal: Refusal) => void
}

/**
 * Answers every request that no other route takes: 404 for an unknown path, and for the path of a
 * door the reason why the request is no upgrade. A plain GET of a path that looks like a mistyped
 * endpoint gets 404 with the right one.
 */
export function serveRest<D extends Endpoint>(
  app: TemplatedApp,
  doors: readonly D[],
  { counted, unknown }: Rest<D>,
): void {
  app.any('/*', (res, req) => {
    if (refuseUnclear(res, req, false)) return
    const url = req.getUrl()
    const isUpgrade = req.getHeader('upgrade') !== ''
    const typo = isUpgrade || req.getMethod() !== 'get' ? undefined : mistyped(url)
    if (typo) return respond(res, typo)
    for (const door of doors) {
      const ids = door.path.match(url)
      if (ids === undefined) continue
      const refusal = whyNoUpgrade(req, door.admit(ids))
      counted(door, refusal)
      return respond(res, refusal)
    }
    if (isUpgrade) unknown(res, req, notFoundAt(url))
    else respond(res, notFoundAt(url))
  })
}

function whyNoUpgrade(req: HttpRequest, admitted: ReturnType<Endpoint['admit']>): Refusal {
  if (req.getMethod() !== 'get') return { ...refusals['method-not-allowed'], headers: { Allow: 'GET' } }
  if (admitted.kind === 'refusal') return admitted
  return req.getHeader('upgrade') === '' ? refusals['upgrade-required'] : refusals['malformed-request']
}
