/** Which web origins may connect: the entries of a list, matched with the `Origin` header. */

interface OriginPattern {
  /** With its colon; '': any. */
  readonly protocol: string
  /** As URL.hostname writes it, without the `*.` of a wildcard. */
  readonly host: string
  readonly wildcard: boolean
  /** '': the default port of the protocol; without a protocol, any port. */
  readonly port: string
}

/** `*.` stands for one or more labels. An IPv6 host stands in brackets. */
const ENTRY =
  /^(?:([a-z][a-z0-9+.-]*):\/\/)?(\*\.)?([a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]+\])(?::(\d{1,5}))?\/?$/i

/** Header values without a host, sent by sandboxed frames and by pages opened from disk. */
const WITHOUT_HOST: ReadonlySet<string> = new Set(['null', 'file://'])

/**
 * Returns undefined when no `Origin` header could match, for instance because the host is invalid.
 */
function parseOriginEntry(entry: string): OriginPattern | undefined {
  const [all, scheme, star, name, port = ''] = ENTRY.exec(entry) ?? []
  if (all === undefined || name === undefined || Number(port) > 65535) return undefined
  if (star !== undefined && name.startsWith('[')) return undefined
  const protocol = scheme === undefined ? '' : `${scheme.toLowerCase()}:`
  // Headers are parsed as URLs, so the entry goes through the same parser: it rejects `xn--0` and
  // `1.2.3.256`, and writes IP addresses in the one way that browsers send.
  const url = `${protocol || 'https:'}//${star === undefined ? '' : 'a.'}${name.toLowerCase()}`
  if (!URL.canParse(url)) return undefined
  const { hostname } = new URL(url)
  if (hostname === '') return undefined
  const wildcard = star !== undefined
  return { protocol, host: wildcard ? hostname.slice('a.'.length) : hostname, wildcard, port }
}

/** Whether an entry of a list can match any `Origin` header. */
export const isOriginEntry = (entry: string): boolean =>
  entry === '*' || WITHOUT_HOST.has(entry) || parseOriginEntry(entry) !== undefined

/** The ports that browsers leave out of the header. */
const DEFAULT_PORTS: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' }

function matches(pattern: OriginPattern, origin: URL): boolean {
  const { protocol, host, wildcard, port } = pattern
  if (protocol !== '' && protocol !== origin.protocol) return false
  const defaultPort = DEFAULT_PORTS[origin.protocol] ?? ''
  const actual = origin.port || defaultPort
  if (port !== '' ? port !== actual : protocol !== '' && actual !== defaultPort) return false
  return wildcard ? origin.hostname.endsWith(`.${host}`) : origin.hostname === host
}

/**
 * Returns a predicate over the `Origin` header ('' for a request without one, which passes unless
 * `required`). An empty list admits any origin, as does `*`.
 */
export function originRule(allowed: readonly string[], required: boolean): (origin: string) => boolean {
  const any = allowed.length === 0 || allowed.includes('*')
  const literal = new Set(allowed.filter((entry) => WITHOUT_HOST.has(entry)))
  const patterns = allowed.flatMap((entry) => (literal.has(entry) ? [] : (parseOriginEntry(entry) ?? [])))
  return (origin) => {
    if (origin === '') return !required
    if (any || literal.has(origin)) return true
    if (!URL.canParse(origin)) return false
    const url = new URL(origin)
    return patterns.some((pattern) => matches(pattern, url))
  }
}
