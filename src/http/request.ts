import type { HttpRequest, HttpResponse } from '../platform/uws.ts'

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

/**
 * Returns why a proxy in front may see another end or another host in this request; undefined for a
 * clear request. uWebSockets.js takes all of these: it reads the first line of a header and ignores
 * what it does not know. A request like that is refused and its connection closed (RFC 9112,
 * sections 3.2 and 6.3), so that what follows on it is never read as a request.
 */
export function ambiguity(req: HttpRequest): string | undefined {
  return readLines(req).ambiguity
}

/**
 * What one walk over the header lines finds. A walk makes two strings a line, so an upgrade makes
 * only one.
 */
interface HeaderLines {
  /** As `ambiguity` returns it. */
  readonly ambiguity: string | undefined
  /** All lines of Sec-WebSocket-Protocol, joined. */
  readonly protocol: string
}

/** Walks over the header lines once. */
export function readLines(req: HttpRequest): HeaderLines {
  let host: string | undefined
  let length: string | undefined
  let encoding: string | undefined
  let twice: string | undefined
  let protocol = ''
  req.forEach((key, value) => {
    switch (key) {
      case 'host':
        if (host !== undefined) twice ??= key
        host = value
        break
      case 'content-length':
        if (length !== undefined) twice ??= key
        length = value
        break
      case 'transfer-encoding':
        if (encoding !== undefined) twice ??= key
        encoding = value
        break
      case 'sec-websocket-protocol':
        protocol = protocol === '' ? value : `${protocol},${value}`
        break
    }
  })
  return { ambiguity: whyAmbiguous(twice, length, encoding), protocol }
}

function whyAmbiguous(twice?: string, length?: string, encoding?: string): string | undefined {
  if (twice !== undefined) return `The request has more than one ${twice} header.`
  if (length !== undefined && encoding !== undefined)
    return 'The request has both Content-Length and Transfer-Encoding.'
  if (length !== undefined && !/^\d{1,15}$/.test(length)) return 'Content-Length is not a number.'
  if (encoding !== undefined && encoding.toLowerCase() !== 'chunked')
    return 'The only Transfer-Encoding that the gateway takes is chunked.'
  return undefined
}

/** Whether uWebSockets.js has found a PROXY header on this connection. */
export const hasProxyHeader = (res: HttpResponse): boolean => res.getProxiedRemoteAddressAsText().byteLength > 0
