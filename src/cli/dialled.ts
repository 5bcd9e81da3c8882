import { environment } from '../config/env.ts'
import { settings } from '../config/table.ts'
import { sessionOf } from './ending.ts'

/**
 * Names the door that answers at an address, as far as the path says it: gateways elsewhere may
 * have other paths. A mistyped address of a session can be that of a run, which opens as well.
 */
export function doorAt(url: URL): string {
  const session = sessionOf(url)
  if (session !== undefined) return `session ${JSON.stringify(session)}`
  const livePath = environment().LIVE_PATH ?? settings.livePath.default
  const path = url.pathname.replace(/(.)\/$/, '$1')
  if (path === livePath) return 'the live door'
  return `run ${JSON.stringify(path.slice(path.lastIndexOf('/') + 1))}; a session would be /{agent}/ws/{session}`
}
