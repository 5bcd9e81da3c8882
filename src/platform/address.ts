import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net'

/** IP addresses in one canonical spelling, and hosts as a URL writes them. */

/** Returns the host as it stands before a port: an IPv6 address in brackets. */
export const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host)

/** Returns the host to connect to when a server listens on `host`: a wildcard includes loopback. */
export const reachable = (host: string): string => ({ '0.0.0.0': '127.0.0.1', '::': '::1' })[host] ?? host

/** Returns the URL at which a client on this machine reaches the server that listens on `host`. */
export const localUrl = (host: string, port: number, encrypted: boolean): string =>
  `${encrypted ? 'https' : 'http'}://${bracketed(reachable(host))}:${port}`

/**
 * Returns the canonical text of an IP address: IPv4 in decimals, IPv6 compressed and in lower case,
 * an IPv4 address inside IPv6 as IPv4. Brackets, a port and a zone are removed. Undefined for any
 * other text, such as `unknown` or `_hidden` (RFC 7239, section 6).
 */
export function parseIp(text: string): string | undefined {
  const trimmed = text.trim()
  if (isIPv4(trimmed)) return trimmed
  const [, bracketed, v4] = /^(?:\[([^\]]*)\](?::\d{1,5})?|([\d.]+):\d{1,5})$/.exec(trimmed) ?? []
  if (v4 !== undefined) return isIPv4(v4) ? v4 : undefined
  const bare = bracketed ?? trimmed
  return isIPv6(bare) ? canonicalIpv6(bare) : undefined
}

function canonicalIpv6(text: string): string {
  const zone = text.indexOf('%')
  const compressed = new URL(`http://[${zone < 0 ? text : text.slice(0, zone)}]`).hostname.slice(1, -1)
  const [, high, low] = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(compressed) ?? []
  if (high === undefined || low === undefined) return compressed
  return [high, low].flatMap((each) => [Number.parseInt(each, 16) >> 8, Number.parseInt(each, 16) & 255]).join('.')
}

/**
 * Returns what limits count a canonical address as: IPv4 as itself, IPv6 as its /64, because one
 * client chooses freely among the addresses of that network.
 */
export function networkOf(ip: string): string {
  if (!ip.includes(':')) return ip
  const [head = '', tail = ''] = ip.split('::')
  const groups = head === '' ? [] : head.split(':')
  const after = tail === '' ? 0 : tail.split(':').length
  if (ip.includes('::')) while (groups.length + after < 8) groups.push('0')
  return `${[...groups, ...tail.split(':')].slice(0, 4).join(':')}::/64`
}

/** Returns a predicate over canonical addresses: whether one of these networks contains it. */
export function networks(list: readonly string[]): (ip: string) => boolean {
  const blocks = new BlockList()
  for (const entry of list) {
    const [ip = '', bits] = entry.split('/')
    const family = isIPv4(ip) ? 'ipv4' : 'ipv6'
    blocks.addSubnet(ip, Number(bits ?? (family === 'ipv4' ? 32 : 128)), family)
  }
  return (ip) => isIP(ip) !== 0 && blocks.check(ip, isIPv4(ip) ? 'ipv4' : 'ipv6')
}

/**
 * Whether a Host header names this machine by its loopback address. A page of another site that
 * points a host name of its own at loopback sends that name.
 */
export const isLoopbackHost = (host = ''): boolean => /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i.test(host)
