import { editDistance } from '../config/near.ts'
import { type Refusal, refusals } from '../contract/codes.ts'

/** What a 404 says to a person who has nearly the right path, or the wrong protocol. */

/** Paths that people ask for by hand. */
const ENDPOINTS = ['/health', '/ready', '/readyz', '/livez', '/metrics', '/version', '/live', '/admin/monitoring']

/** Names that other programs give to these endpoints. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  healthz: '/health',
  healthcheck: '/health',
  'health-check': '/health',
  status: '/health',
  liveness: '/livez',
  alive: '/livez',
  ping: '/livez',
  readiness: '/ready',
  monitoring: '/admin/monitoring',
  admin: '/admin/monitoring',
  prometheus: '/metrics',
}

/** Files that browsers and crawlers ask for without a link. */
const UNASKED: ReadonlySet<string> = new Set(['favicon.ico', 'robots.txt', 'apple-touch-icon.png'])

const SOCKET_IO: Refusal = {
  ...refusals['not-found'],
  message:
    'No such path. This is wsproxy: its clients are plain WebSockets (RFC 6455), not Socket.IO. ' +
    'Connect to /<agent>/ws/<session>, a run or /live.',
}

const segmentOf = (url: string): string => url.replace(/^\//, '').replace(/\/$/, '')

/** The 404 of a path that nothing serves. */
export const notFoundAt = (url: string): Refusal =>
  /^socket\.io(\/|$)/.test(segmentOf(url)) ? SOCKET_IO : refusals['not-found']

/**
 * The 404 of a plain GET whose path looks like a mistyped endpoint or a file that browsers ask for.
 * Undefined: it does not look so.
 */
export function mistyped(url: string): Refusal | undefined {
  const word = segmentOf(url).toLowerCase()
  if (word.startsWith('socket.io')) return notFoundAt(url)
  if (UNASKED.has(word)) return refusals['not-found']
  // A door answers its own path.
  if (word === '' || word.includes('/') || ENDPOINTS.includes(`/${word}`)) return undefined
  const meant = Object.hasOwn(ELSEWHERE, word) ? ELSEWHERE[word] : nearestEndpoint(word)
  return meant === undefined ? undefined : { ...refusals['not-found'], message: `No such path. Did you mean ${meant}?` }
}

function nearestEndpoint(word: string): string | undefined {
  const most = word.length > 5 ? 2 : 1
  return word.length < 4 ? undefined : ENDPOINTS.find((each) => editDistance(word, each.slice(1)) <= most)
}
