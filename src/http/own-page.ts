import { originRule } from '../config/origins.ts'
import { isLoopbackHost } from '../platform/address.ts'

/** Whether an `Origin` header is that of the host that was asked. */
export function isOwnOrigin(origin: string, host: string): boolean {
  if (!URL.canParse(origin)) return false
  const { protocol, host: own } = new URL(origin)
  // Parsed as well, so that a default port counts as none.
  const asked = `${protocol}//${host}`
  return host !== '' && URL.canParse(asked) && new URL(asked).host === own
}

/**
 * Returns a predicate: whether a page of this origin may use the cookies of this host, because it
 * is of the same origin or in the list. An empty list and `*` name no origin here. Away from this
 * machine the cookies need TLS: a page without it may come from whoever is on the network.
 */
export function ownPages(allowed: readonly string[]): (origin: string, host: string) => boolean {
  const named = allowed.filter((entry) => entry !== '*')
  const isNamed = named.length === 0 ? () => false : originRule(named, true)
  const isOwn = (origin: string, host: string) =>
    isOwnOrigin(origin, host) && (origin.startsWith('https:') || isLoopbackHost(host))
  return (origin, host) => origin !== '' && (isOwn(origin, host) || isNamed(origin))
}

/**
 * Whether a request that changes something comes from such a page. A browser sends `Origin` with
 * every POST; a request without it comes from a program, unless `Sec-Fetch-Site` says otherwise.
 */
export const fromOwnPage = (
  { origin = '', host = '', 'sec-fetch-site': site = '' }: Readonly<Record<string, string>>,
  isOwn: (origin: string, host: string) => boolean,
): boolean => (origin === '' ? site === '' || site === 'same-origin' : isOwn(origin, host))
