import { isIP } from 'node:net'
import { parseRedisAddress } from './redis-address.ts'

/** Entries of REDIS_CLUSTER_NODES, REDIS_SENTINELS and REDIS_ADDRESS_MAP. */

/** A host and a port to dial. */
export interface Place {
  readonly host: string
  readonly port: number
}

/** A server that an entry names. */
interface NamedServer extends Place {
  /** Undefined: the entry is `host:port` and does not say it. */
  readonly tls: boolean | undefined
}

const CLUSTER_PORT = 6379
const SENTINEL_PORT = 26379

const URL_START = /^[a-z][a-z\d+.-]*:\/\//i
const HOST_AND_PORT = /^(?:\[([^\]]+)\]|([\w.-]+))(?::(\d{1,5}))?$/

/** A host of any kind, and its port where one is named; undefined for other text. */
function parsePlace(text: string): { host: string; port: number | undefined } | undefined {
  if (isIP(text) === 6) return { host: text, port: undefined }
  const [, six, name, digits] = HOST_AND_PORT.exec(text) ?? []
  const host = six ?? name
  if (host === undefined || (six !== undefined && isIP(six) !== 6)) return undefined
  const port = digits === undefined ? undefined : Number(digits)
  return port === undefined || (port > 0 && port <= 65_535) ? { host, port } : undefined
}

/** A list of servers: the port of an entry without one, and the settings of its login. */
const LISTS = {
  REDIS_CLUSTER_NODES: [CLUSTER_PORT, 'REDIS_URL (or REDIS_USERNAME and REDIS_PASSWORD)'],
  REDIS_SENTINELS: [SENTINEL_PORT, 'REDIS_SENTINEL_USERNAME and REDIS_SENTINEL_PASSWORD'],
} as const

type ListName = keyof typeof LISTS

/**
 * Parses `host:port`, `redis://host[:port]` or `rediss://host[:port]`. A login or a database is a
 * problem: all servers of the list share those of other settings. The text of a problem holds no
 * password.
 */
function parseServer(name: ListName, entry: string): NamedServer | string {
  const [defaultPort, login] = LISTS[name]
  if (!URL_START.test(entry)) {
    if (entry.includes('@')) return `holds a user or password, which stand in ${login}`
    const place = parsePlace(entry)
    return place?.port === undefined ? 'is not host:port' : { host: place.host, port: place.port, tls: undefined }
  }
  const parsed = parseRedisAddress(entry, defaultPort)
  if ('problem' in parsed) return `is no address: ${parsed.problem}`
  const { host, port, path, tls, username, password, database } = parsed.address
  if (username !== undefined || password !== undefined) return `holds a user or password, which stand in ${login}`
  if (path !== undefined) return 'is a socket of the file system'
  if (database !== 0) return 'names a database, which stands in REDIS_URL'
  return { host, port, tls }
}

/** A line for each entry of the list that is not valid, and one when they disagree about TLS. */
export function serverProblems(name: ListName, entries: readonly string[]): string[] {
  const parsed = entries.map((entry) => parseServer(name, entry))
  const problems = parsed.flatMap((each, i) =>
    // An entry that may hold a login is not repeated.
    typeof each !== 'string' ? [] : [`${name}: ${entryName(entries[i]!, i)} ${each}`],
  )
  const schemes = new Set(parsed.flatMap((each) => (typeof each === 'string' ? [] : [each.tls])))
  if (problems.length > 0 || !schemes.has(true) || !schemes.has(false)) return problems
  return [`${name}: some entries are redis:// and some rediss://; all servers of the list use TLS, or none does`]
}

const entryName = (entry: string, i: number): string => (/[@/?]/.test(entry) ? `entry ${i + 1}` : JSON.stringify(entry))

/** The servers of a list that is known to be valid, and whether an entry asks for TLS. */
export function serversOf(name: ListName, entries: readonly string[]): { places: Place[]; tls: boolean } {
  const servers = entries.map((entry) => parseServer(name, entry)).filter((each) => typeof each !== 'string')
  return { places: servers.map(({ host, port }) => ({ host, port })), tls: servers.some(({ tls }) => tls) }
}

/** Whether an entry says that the servers do not use TLS. */
export const refusesTls = (name: ListName, entries: readonly string[]): boolean =>
  entries.some((entry) => {
    const server = parseServer(name, entry)
    return typeof server !== 'string' && server.tls === false
  })

/** Parses `announced=reachable`, each `host` or `host:port`; undefined for other text. */
function parseMapping(entry: string): { from: string; to: { host: string; port: number | undefined } } | undefined {
  const [left, right, ...rest] = entry.split('=').map((each) => parsePlace(each.trim()))
  if (left === undefined || right === undefined || rest.length > 0) return undefined
  // A host of many servers cannot lead to one port.
  if (left.port === undefined && right.port !== undefined) return undefined
  return { from: nameOf(left), to: right }
}

const nameOf = ({ host, port }: { host: string; port: number | undefined }): string =>
  port === undefined ? host.toLowerCase() : `${host.toLowerCase()} ${port}`

/** A line for each entry of REDIS_ADDRESS_MAP that is not valid, or maps an address twice. */
export function mappingProblems(entries: readonly string[]): string[] {
  const seen = new Set<string>()
  return entries.flatMap((entry) => {
    const mapping = parseMapping(entry)
    const repeated = mapping !== undefined && seen.has(mapping.from)
    if (mapping !== undefined) seen.add(mapping.from)
    if (mapping !== undefined && !repeated) return []
    const problem = repeated
      ? 'maps an address a second time'
      : 'is not announced=reachable, as 10.0.0.5:6379=nat.example.org:7001 or 10.0.0.5=nat.example.org'
    return [`REDIS_ADDRESS_MAP: ${JSON.stringify(entry)} ${problem}`]
  })
}

/**
 * Returns a function from the place that a server announces to the one where this process reaches
 * it. An entry with a port comes before one for the whole host; other places stay as they are.
 */
export function reachableBy(entries: readonly string[]): (announced: Place) => Place {
  if (entries.length === 0) return (announced) => announced
  const map = new Map(entries.flatMap((entry) => parseMapping(entry) ?? []).map(({ from, to }) => [from, to]))
  return ({ host, port }) => {
    const to = map.get(nameOf({ host, port })) ?? map.get(nameOf({ host, port: undefined }))
    return to === undefined ? { host, port } : { host: to.host, port: to.port ?? port }
  }
}
