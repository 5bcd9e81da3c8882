import { cookieIn } from '../http/cookies.ts'
import { isLoopbackHost } from '../platform/address.ts'
import type { Tokens } from './logins.ts'

const ACCESS = 'wsproxy_access'
const REFRESH = 'wsproxy_refresh'
const DEVICE = 'wsproxy_device'
/** Half a year, from the last login on. */
const DEVICE_S = 15_552_000

type Headers = Readonly<Record<string, string>>

/**
 * Whether a browser asks this machine without TLS, where it takes no secure cookie. Elsewhere a
 * cookie without a prefix could come from another host of the domain.
 */
const isPlain = ({ host = '', origin = '' }: Headers): boolean => isLoopbackHost(host) && !origin.startsWith('https:')

/** The access token in the cookies of a request; undefined without it. */
export const accessIn = (headers: Headers): string | undefined => tokenIn(headers, '__Host-', ACCESS)

/** The refresh token in the cookies of a request; undefined without it. */
export const refreshIn = (headers: Headers): string | undefined => tokenIn(headers, '__Secure-', REFRESH)

/** The text of the device in the cookies of a request; undefined without it. */
export const deviceIn = (headers: Headers): string | undefined => tokenIn(headers, '__Secure-', DEVICE)

function tokenIn(headers: Headers, prefix: string, name: string): string | undefined {
  const { cookie = '' } = headers
  if (cookie === '') return undefined
  return cookieIn(cookie, prefix + name) || (isLoopbackHost(headers.host ?? '') && cookieIn(cookie, name)) || undefined
}

interface Lives {
  readonly accessS: number
  readonly refreshS: number
}

/**
 * The `Set-Cookie` lines of a login, which scripts cannot read. The refresh token goes to the calls
 * of `base` only. Undefined tokens: the browser forgets them.
 */
export function cookiesOf(
  tokens: Pick<Tokens, 'access' | 'refresh'> | undefined,
  lives: Lives,
  base: string,
  headers: Headers,
): string[] {
  const [host, secure] = isPlain(headers) ? ['', ''] : ['__Host-', '__Secure-']
  return [
    lineOf(`${host}${ACCESS}`, tokens?.access, lives.accessS, 'Path=/; SameSite=Lax', headers),
    lineOf(`${secure}${REFRESH}`, tokens?.refresh, lives.refreshS, `Path=${base}; SameSite=Strict`, headers),
  ]
}

/** The `Set-Cookie` line of a device from which a user has logged in. */
export const deviceCookie = (device: string, base: string, headers: Headers): string =>
  lineOf(`${isPlain(headers) ? '' : '__Secure-'}${DEVICE}`, device, DEVICE_S, `Path=${base}; SameSite=Strict`, headers)

function lineOf(name: string, value = '', lifeS: number, rest: string, headers: Headers): string {
  const life = value === '' ? 0 : lifeS
  return `${name}=${value}; Max-Age=${life}; HttpOnly; ${rest}${isPlain(headers) ? '' : '; Secure'}`
}
