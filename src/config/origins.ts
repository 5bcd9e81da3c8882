/** Which pages may connect: entries of a list, and the `Origin` header of an upgrade. */

interface Pattern {
  /** With the colon; '': any. */
  readonly protocol: string
  /** In lower case, without its `*` when it is a wildcard. */
  readonly host: string
  readonly wildcard: boolean
  /** '': as it comes for an entry with a protocol; any for one without. */
  readonly port: string
}

/** What an entry may be made of; `*.` stands for one label or more. An IPv6 host stands in brackets. */
const ENTRY =
  /^(?:([a-z][a-z0-9+.-]*):\/\/)?(\*\.)?([a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]+\])(?::(\d{1,5}))?\/?$/i

/** `*`, `null`, a full origin, a host, or either with `*.` before the host. @returns undefined when no origin could ever match the entry. */
function parseOriginEntry(entry: string): Pattern | undefined {
  const [all, scheme, star, host, port = ''] = ENTRY.exec(entry) ?? []
  if (all === undefined || host === undefined || Number(port) > 65535) return undefined
  if (star !== undefined && host.startsWith('[')) return undefined
  return {
    protocol: scheme === undefined ? '' : `${scheme.toLowerCase()}:`,
    host: host.toLowerCase(),
    wildcard: star !== undefined,
    port,
  }
}

/** Whether an entry of a list of origins can match any. */
export const isOriginEntry = (entry: string): boolean => entry === '*' || parseOriginEntry(entry) !== undefined

/** Ports that browsers leave out. */
const DEFAULT_PORTS: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' }

function matches(pattern: Pattern, origin: URL): boolean {
  const { protocol, host, wildcard, port } = pattern
  if (protocol !== '' && protocol !== origin.protocol) return false
  const defaultPort = DEFAULT_PORTS[origin.protocol] ?? ''
  const actual = origin.port || defaultPort
  if (port !== '' ? port !== actual : protocol !== '' && actual !== defaultPort) return false
  return wildcard ? origin.hostname.endsWith(`.${host}`) : origin.hostname === host
}

/** A predicate over the `Origin` header. An empty list admits any, as `*` does; a request without the header passes unless it is `required`. */
export function originRule(allowed: readonly string[], required: boolean): (origin: string) => boolean {
  const any = allowed.length === 0 || allowed.includes('*')
  const patterns = allowed.flatMap((entry) => parseOriginEntry(entry) ?? [])
  const opaque = allowed.includes('null')
  return (origin) => {
    if (origin === '') return !required
    if (any) return true
    if (origin === 'null') return opaque
    if (!URL.canParse(origin)) return false
    const url = new URL(origin)
    return patterns.some((pattern) => matches(pattern, url))
  }
}
