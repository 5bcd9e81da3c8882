import { cookieIn } from '../http/cookies.ts'
import type { Credentials } from './auth.ts'

/**
 * The cookie in which a browser keeps the ticket of a stream. A browser takes it over TLS only, and
 * sends it to the path of the stream only.
 */
export const STREAM_COOKIE = '__Secure-wsproxy_stream'

/**
 * Finds the tickets of a stream: in the cookie, which each answer renews, and in the query, which
 * `EventSource` repeats as it was. Undefined: there is no ticket.
 */
export function readStreamTickets(cookie: string, query: string): Credentials | undefined {
  const kept = ticketIn(cookie)
  const given = query.includes('ticket=') ? (new URLSearchParams(query).get('ticket') ?? '') : ''
  const token = kept || given
  if (token === '') return undefined
  return { kind: 'credentials', token, protocol: '', isExposed: true, otherToken: kept === '' ? '' : given }
}

/** The value of the cookie; '' for none. */
export const ticketIn = (header: string): string => cookieIn(header, STREAM_COOKIE)
