import { type Refusal, refusals } from '../../contract/codes.ts'
import { parseCursor } from '../../sessions/numbers.ts'
import type { Resume } from '../../sessions/position.ts'

/** The subprotocols of the session door. */
export const PROTOCOLS = { numbered: 'wsproxy.v2', plain: 'wsproxy.v1' } as const

const FROM_NOW: Resume = { cursor: undefined, otherwise: 'now' }

/** Reads `?cursor=` and `&else=` of a client of `wsproxy.v2`. */
export function resumeOf(query: string): Resume | Refusal {
  if (!query.includes('cursor=')) return FROM_NOW
  const fields = new URLSearchParams(query)
  const text = fields.get('cursor')
  if (text === null) return FROM_NOW
  const cursor = parseCursor(text)
  const otherwise = fields.get('else') ?? 'now'
  if (cursor === undefined || (otherwise !== 'now' && otherwise !== 'oldest')) return refusals['cursor-malformed']
  return { cursor, otherwise }
}

/** The same for a stream. `Last-Event-ID` is newer than the query, which a client repeats. */
export function streamResumeOf(query: string, lastEventId: string): Resume | Refusal {
  if (lastEventId === '') return resumeOf(query)
  const cursor = parseCursor(lastEventId)
  return cursor === undefined ? refusals['cursor-malformed'] : { cursor, otherwise: otherwiseOf(query) }
}

const otherwiseOf = (query: string): Resume['otherwise'] =>
  new URLSearchParams(query).get('else') === 'oldest' ? 'oldest' : 'now'
