import { isIP } from 'node:net'

/** Where a Redis server is, and as which user to connect to it. */
export interface RedisAddress {
  /** Name or IP address. With a socket in the file system: `localhost`, which names it for TLS. */
  readonly host: string
  readonly port: number
  /** The path of a socket in the file system, which is dialled instead of host and port. */
  readonly path?: string
  readonly tls: boolean
  readonly username: string | undefined
  readonly password: string | undefined
  readonly database: number
}

/** An address, or the part of its text that is wrong. The text of a problem holds no password. */
export type ParsedAddress = { readonly address: RedisAddress } | { readonly problem: string }

const DEFAULT_REDIS_PORT = 6379

/** Scheme, what stands before the first slash, question mark or number sign, path, query, rest. */
const PARTS = /^([a-z][a-z\d+.-]*):(?:\/\/([^/?#]*))?([^?#]*)(\?[^#]*)?(#.*)?$/is

const TLS_BY_SCHEME: Readonly<Record<string, boolean>> = { redis: false, rediss: true }
const SOCKET_SCHEMES: ReadonlySet<string> = new Set(['unix', 'redis+unix', 'redis+socket'])
/** Schemes of other clients, and the setting that the gateway has for them. */
const OTHER_SCHEMES: Readonly<Record<string, string>> = {
  'redis-sentinel': 'REDIS_SENTINELS',
  'redis+sentinel': 'REDIS_SENTINELS',
  'rediss+sentinel': 'REDIS_SENTINELS',
  'redis-cluster': 'REDIS_CLUSTER_NODES',
  'redis+cluster': 'REDIS_CLUSTER_NODES',
  'rediss+cluster': 'REDIS_CLUSTER_NODES',
}

class Problem extends Error {}

/**
 * Parses `redis://[user[:password]@]host[:port][/db][?db=n]` (IANA: the redis URI scheme), the same
 * with `rediss:` for TLS, and `unix:/path/of/socket[?db=n]`. Percent-encoding is decoded.
 */
export function parseRedisAddress(text: string, defaultPort = DEFAULT_REDIS_PORT): ParsedAddress {
  try {
    return { address: addressIn(text.trim(), defaultPort) }
  } catch (error) {
    if (error instanceof Problem) return { problem: error.message }
    throw error
  }
}

function addressIn(text: string, defaultPort: number): RedisAddress {
  const [, scheme = '', authority = '', path = '', query = '', fragment] = PARTS.exec(text) ?? []
  const kind = scheme.toLowerCase()
  const other = OTHER_SCHEMES[kind]
  if (other !== undefined) throw new Problem(`${kind}: is not read here; set ${other}`)
  const isSocket = SOCKET_SCHEMES.has(kind)
  const tls = TLS_BY_SCHEME[kind]
  if (tls === undefined && !isSocket) throw new Problem('its scheme is not redis:, rediss: or unix:')
  if (!text.slice(scheme.length).startsWith('://') && !isSocket) throw new Problem(`// is missing after ${kind}:`)
  // A slash, question mark or number sign in a password would end the host.
  if (!authority.includes('@') && (isSocket ? '' : path + query + fragment).includes('@'))
    throw new Problem('a / ? # or @ in its user or password must be percent-encoded (%2F %3F %23 %40)')
  if (fragment !== undefined) throw new Problem('a # must be percent-encoded (%23)')
  const at = authority.lastIndexOf('@')
  const login = loginIn(authority.slice(0, Math.max(at, 0)))
  const place = authority.slice(at + 1)
  const { database: inQuery, ...named } = readQuery(query)
  const where = isSocket ? socketIn(place, path, defaultPort) : { ...placeIn(place, defaultPort), tls: tls! }
  return { ...where, ...merged(login, named), database: databaseIn(isSocket ? '' : path, inQuery) }
}

interface Login {
  readonly username: string | undefined
  readonly password: string | undefined
}

function loginIn(text: string): Login {
  const colon = text.indexOf(':')
  const username = colon < 0 ? text : text.slice(0, colon)
  const password = colon < 0 ? '' : text.slice(colon + 1)
  return {
    username: decoded('user', username) || undefined,
    password: decoded('password', password) || undefined,
  }
}

function merged(login: Login, named: Login): Login {
  for (const part of ['username', 'password'] as const)
    if (login[part] !== undefined && named[part] !== undefined && login[part] !== named[part])
      throw new Problem(`it has a ${part} before the host and another one in ?${part}=`)
  return { username: login.username ?? named.username, password: login.password ?? named.password }
}

function placeIn(place: string, defaultPort: number): { host: string; port: number } {
  if (isIP(place) === 6) throw new Problem(`an IPv6 address stands in brackets: [${place}]`)
  if (place.includes(',')) throw new Problem('it names several hosts; set REDIS_SENTINELS or REDIS_CLUSTER_NODES')
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::(.*))?$/.exec(place)
  if (match === null) throw new Problem('its host and port are not host[:port]')
  const [, six, name = '', port = ''] = match
  if (six !== undefined) {
    // RFC 6874 writes the percent sign of a zone as %25.
    const host = six.replace('%25', '%')
    if (isIP(host) !== 6) throw new Problem(`[${six}] is not an IPv6 address`)
    return { host, port: portIn(port, defaultPort) }
  }
  if (name === '') throw new Problem('it has no host')
  const host = decoded('host', name)
  if (!/^[\w.-]+$/.test(host)) throw new Problem('its host has other characters than letters, digits, - _ and .')
  return { host, port: portIn(port, defaultPort) }
}

function portIn(text: string, defaultPort: number): number {
  if (text === '') return defaultPort
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port === 0 || port > 65_535) throw new Problem('its port is not 1 to 65535')
  return port
}

function socketIn(place: string, path: string, port: number) {
  if (place !== '') throw new Problem('its socket has no absolute path; write unix:///path/of/socket')
  const file = decoded('path', path)
  if (!file.startsWith('/') || file.endsWith('/')) throw new Problem('its socket has no absolute path')
  return { host: 'localhost', port, path: file, tls: false }
}

function databaseIn(path: string, inQuery: string | undefined): number {
  const inPath = path === '' || path === '/' ? undefined : path.slice(1)
  if (inPath !== undefined && !/^\d{1,9}$/.test(inPath))
    throw new Problem('its database, which follows the host and a slash, is not a number')
  if (inQuery !== undefined && !/^\d{1,9}$/.test(inQuery)) throw new Problem('?db= is not a number')
  if (inPath !== undefined && inQuery !== undefined && Number(inPath) !== Number(inQuery))
    throw new Problem(`it names two databases, ${path} and ?db=${inQuery}`)
  return Number(inPath ?? inQuery ?? 0)
}

/** Reads the parameters that other clients read too. Any other one would be lost without a word. */
function readQuery(query: string): Login & { database: string | undefined } {
  const found = new Map<string, string>()
  for (const pair of query.slice(1).split('&')) {
    if (pair === '') continue
    const [name = '', ...value] = pair.split('=')
    if (found.has(name)) throw new Problem(`?${printable(name)}= stands there twice`)
    found.set(name, decoded(`?${printable(name)}=`, value.join('=')))
  }
  const take = (name: string) => {
    const value = found.get(name)
    found.delete(name)
    return value
  }
  const read = { database: take('db'), username: take('username'), password: take('password') }
  const protocol = take('protocol')
  if (protocol !== undefined && protocol !== '3') throw new Problem('?protocol= is not 3, which the gateway speaks')
  const [unknown] = found.keys()
  if (unknown !== undefined)
    throw new Problem(`?${printable(unknown)}= is not read; only ?db=, ?username= and ?password= are`)
  return { ...read, username: read.username || undefined, password: read.password || undefined }
}

/** The name of a parameter as an error shows it: a secret that was not encoded may stand there. */
const printable = (name: string): string => (/^[A-Za-z_-]{1,32}$/.test(name) ? name : '...')

/** Decodes a part. Node's own error would not name it. */
function decoded(part: string, text: string): string {
  if (/%(?![0-9a-f]{2})/i.test(text)) throw new Problem(`its ${part} has a % that begins no escape; write %25`)
  try {
    return decodeURIComponent(text)
  } catch {
    throw new Problem(`its ${part} is not UTF-8 in percent-encoding`)
  }
}

/**
 * The address in a text that is known to be valid: the configuration has been checked.
 * @throws when it is not.
 */
export function redisAddressOf(text: string): RedisAddress {
  const parsed = parseRedisAddress(text)
  if ('problem' in parsed) throw new Error(`not the address of a Redis server: ${parsed.problem}`)
  return parsed.address
}

/** The text of an address, which `parseRedisAddress` reads back. */
export function redisUrlOf({ host, port, path, tls, username, password, database }: RedisAddress): string {
  if (path !== undefined) {
    const parameters = { db: database === 0 ? undefined : String(database), username, password }
    const query = Object.entries(parameters).flatMap(([name, value]) =>
      value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`],
    )
    return `unix:${path.split('/').map(encodeURIComponent).join('/')}${query.length > 0 ? `?${query.join('&')}` : ''}`
  }
  const user = encodeURIComponent(username ?? '')
  const login = password === undefined ? user : `${user}:${encodeURIComponent(password)}`
  const place = host.includes(':') ? `[${host.replace('%', '%25')}]` : host
  const suffix = `${port === DEFAULT_REDIS_PORT ? '' : `:${port}`}${database === 0 ? '' : `/${database}`}`
  return `${tls ? 'rediss' : 'redis'}://${login && `${login}@`}${place}${suffix}`
}
