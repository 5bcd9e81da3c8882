import { environment } from '../config/env.ts'
import { findTexts } from '../config/sources.ts'
import { settings } from '../config/table.ts'
import { sessionOf } from './ending.ts'

/** The live door has these too, wherever it is. */
const VIEW = /^\/api\/dashboard\/ws\/[^/]+$/

/**
 * Names the door that answers at an address, as far as the path says it: gateways elsewhere may
 * have other paths. A mistyped address of a session can be that of a run, which opens as well.
 */
export function doorAt(url: URL): string {
  const session = sessionOf(url)
  if (session !== undefined) return `session ${JSON.stringify(session)}`
  const { livePath } = settings
  const live = findTexts(environment(), [livePath]).given[livePath.env] ?? livePath.default
  const path = url.pathname.replace(/(.)\/$/, '$1')
  if (path === live || VIEW.test(path)) return 'the live door'
  return `run ${JSON.stringify(path.slice(path.lastIndexOf('/') + 1))}; a session would be /{agent}/ws/{session}`
}
