import type { HttpRequest } from '../platform/uws.ts'

/**
 * Whether the headers are those of an upgrade (RFC 6455, section 4.2.1). uWebSockets.js only checks
 * the length of the key.
 */
export function isUpgrade(req: HttpRequest): boolean {
  return (
    lists(req, 'upgrade', /(^|,)\s*websocket\s*(,|$)/i) &&
    lists(req, 'connection', /(^|,)\s*upgrade\s*(,|$)/i) &&
    /^[A-Za-z0-9+/]{22}==$/.test(req.getHeader('sec-websocket-key'))
  )
}

const lists = (req: HttpRequest, name: string, entry: RegExp): boolean =>
  entry.test(req.getHeader(name)) || entry.test(listHeader(req, name))

/**
 * All lines of a list header, joined (RFC 9110, section 5.3). A proxy may have added a line, and
 * `getHeader` returns only the first.
 */
export function listHeader(req: HttpRequest, name: string): string {
  const lines: string[] = []
  req.forEach((key, value) => {
    if (key === name) lines.push(value)
  })
  return lines.join(',')
}
