import type { HttpRequest, HttpResponse } from '../platform/uws.ts'

/** RFC 6455, section 4.2.1. uWebSockets.js itself looks at nothing but the length of the key. */
export function isUpgrade(req: HttpRequest): boolean {
  return (
    lists(req, 'upgrade', /(^|,)\s*websocket\s*(,|$)/i) &&
    lists(req, 'connection', /(^|,)\s*upgrade\s*(,|$)/i) &&
    /^[A-Za-z0-9+/]{22}==$/.test(req.getHeader('sec-websocket-key'))
  )
}

const lists = (req: HttpRequest, name: string, entry: RegExp): boolean =>
  entry.test(req.getHeader(name)) || entry.test(listHeader(req, name))

/** A list header as one text: a proxy may have added a line of its own, and `getHeader` knows only the first (RFC 9110, section 5.3). */
export function listHeader(req: HttpRequest, name: string): string {
  const lines: string[] = []
  req.forEach((key, value) => {
    if (key === name) lines.push(value)
  })
  return lines.join(',')
}

/** Where a request comes from, as far as the proxy in front of us is trusted with it. */
export function clientAddress(
  res: HttpResponse,
  req: HttpRequest,
  trustProxy: 'none' | 'x-forwarded-for' | 'proxy-protocol',
): string {
  const direct = () => Buffer.from(res.getRemoteAddressAsText()).toString('latin1')
  if (trustProxy === 'none') return direct()
  if (trustProxy === 'proxy-protocol') {
    return Buffer.from(res.getProxiedRemoteAddressAsText()).toString('latin1') || direct()
  }
  // Only the last entry was written by the proxy in front of us; those before it are the client's own words.
  return listHeader(req, 'x-forwarded-for').split(',').at(-1)?.trim() || direct()
}
