import { isIP } from 'node:net'
import { parseRedisAddress, redisUrlOf } from './redis-address.ts'

/** Settings whose value other settings give in parts: the address of the listener and of Redis. */

/** The texts of the settings so far, by name, and the variables that they came from. */
export interface Texts {
  readonly given: Record<string, string>
  readonly from: Record<string, string>
  readonly notices: string[]
}

/** Sets `name` from the settings `parts`. */
function compose({ given, from }: Texts, name: string, text: string, parts: readonly string[]): void {
  given[name] = text
  from[name] = parts.flatMap((each) => from[each] ?? []).join(', ')
}

/** PORT and HOST give LISTEN_ADDR. A platform that sets PORT reaches the process from outside. */
export function composeListenAddr(texts: Texts): void {
  const { given, from, notices } = texts
  const { PORT, HOST, LISTEN_ADDR } = given
  if (PORT === undefined && HOST === undefined) return
  if (LISTEN_ADDR !== undefined) {
    const unused = ['PORT', 'HOST'].flatMap((each) => from[each] ?? [])
    notices.push(`${unused.join(', ')}: ignored, since ${from.LISTEN_ADDR} is set`)
    return
  }
  // Some shells export HOST as the name of the machine.
  const isAddress = HOST !== undefined && (isIP(HOST) > 0 || HOST === 'localhost')
  if (HOST !== undefined && !isAddress)
    notices.push(`${from.HOST}: ${JSON.stringify(HOST)} is ignored: neither an IP address nor localhost`)
  // The validation reports a PORT that is not a port.
  if (PORT !== undefined && !isPort(PORT)) return
  if (!isAddress && PORT === undefined) return
  const host = isAddress ? HOST : '0.0.0.0'
  const parts = ['PORT', ...(isAddress ? ['HOST'] : [])]
  compose(texts, 'LISTEN_ADDR', `${host.includes(':') ? `[${host}]` : host}:${PORT ?? '8080'}`, parts)
}

const isPort = (text: string): boolean => /^\d{1,5}$/.test(text) && Number(text) <= 65535

const REDIS_PARTS = ['REDIS_HOST', 'REDIS_PORT', 'REDIS_USERNAME', 'REDIS_PASSWORD', 'REDIS_DB', 'REDIS_TLS'] as const

/**
 * The parts of a Redis address give REDIS_URL, or what it lacks: its user, password and database.
 * With Sentinels or a cluster, only those three count.
 */
export function composeRedisUrl(texts: Texts): void {
  const { given, notices, from } = texts
  const parts = REDIS_PARTS.filter((each) => given[each] !== undefined)
  if (parts.length === 0) return
  if (given.REDIS_URL !== undefined) return complete(texts)
  const elsewhere = given.REDIS_SENTINELS !== undefined || given.REDIS_CLUSTER_NODES !== undefined
  if (given.REDIS_HOST === undefined && given.REDIS_PORT === undefined && !elsewhere) {
    notices.push(
      `${parts.map((each) => from[each]).join(', ')}: ignored, since neither REDIS_URL nor REDIS_HOST is set`,
    )
    return
  }
  const { REDIS_HOST = 'localhost', REDIS_PORT = '6379', REDIS_USERNAME = '', REDIS_PASSWORD, REDIS_DB } = given
  if (!isPort(REDIS_PORT) || !/^\d*$/.test(REDIS_DB ?? '')) return
  const user = encodeURIComponent(REDIS_USERNAME)
  const login = REDIS_PASSWORD === undefined ? user : `${user}:${encodeURIComponent(REDIS_PASSWORD)}`
  const scheme = /^(true|yes|on|1)$/i.test(given.REDIS_TLS ?? '') ? 'rediss' : 'redis'
  const host = isIP(REDIS_HOST) === 6 ? `[${REDIS_HOST}]` : REDIS_HOST
  const database = REDIS_DB === undefined ? '' : `/${REDIS_DB}`
  compose(texts, 'REDIS_URL', `${scheme}://${login && `${login}@`}${host}:${REDIS_PORT}${database}`, parts)
}

/** Puts what REDIS_URL lacks into it. */
function complete(texts: Texts): void {
  const { given, from, notices } = texts
  const { REDIS_URL = '', REDIS_USERNAME, REDIS_PASSWORD, REDIS_DB, REDIS_HOST, REDIS_PORT } = given
  const unused = [REDIS_HOST && from.REDIS_HOST, REDIS_PORT && from.REDIS_PORT].filter(Boolean)
  if (unused.length > 0) notices.push(`${unused.join(', ')}: ignored, since ${from.REDIS_URL} is set`)
  const parsed = parseRedisAddress(REDIS_URL)
  // The validation reports an invalid address and an invalid number.
  if ('problem' in parsed || !/^\d*$/.test(REDIS_DB ?? '')) return
  const { address } = parsed
  const namesDatabase = (address.path === undefined && /\/\d+(\?|$)/.test(REDIS_URL)) || /[?&]db=/.test(REDIS_URL)
  const lacking = {
    ...(address.username === undefined && REDIS_USERNAME !== undefined && { REDIS_USERNAME }),
    ...(address.password === undefined && REDIS_PASSWORD !== undefined && { REDIS_PASSWORD }),
    ...(!namesDatabase && REDIS_DB !== undefined && { REDIS_DB }),
  }
  const used = Object.keys(lacking)
  if (used.length === 0) return
  const whole = {
    ...address,
    username: lacking.REDIS_USERNAME ?? address.username,
    password: lacking.REDIS_PASSWORD ?? address.password,
    database: Number(lacking.REDIS_DB ?? address.database),
  }
  compose(texts, 'REDIS_URL', redisUrlOf(whole), ['REDIS_URL', ...used])
}
