import { ownCommand } from '../config/env.ts'
import { openParts } from '../config/exposure.ts'
import type { Config } from '../config/table.ts'
import { bracketed, reachable } from '../platform/address.ts'
import { VERSION } from '../platform/version.ts'
import { addressOf } from '../preflight/probes/redis.ts'

export interface Started {
  readonly port: number
  readonly adminPort: number | undefined
  readonly redisUrl: string
  /** The address of the embedded Redis; undefined where another Redis is used. */
  readonly embedded: string | undefined
  /** Why Redis cannot be reached; undefined where it can, or where that is not known yet. */
  readonly redisFailure: string | undefined
  /** Whether the echo agent answers the session `demo`. */
  readonly echoes: boolean
}

/** The five lines that `wsproxy serve` prints in development: what runs here, and what is next. */
export function banner(config: Config, { port, adminPort, redisUrl, embedded, redisFailure, echoes }: Started): string {
  const { listenAddr, tlsCert, runDoor, runPath, livePath } = config
  const encrypted = tlsCert === undefined ? '' : 's'
  const host = bracketed(listenAddr.host)
  const at = bracketed(reachable(listenAddr.host))
  const ports = adminPort === undefined ? '' : `, operators: http${encrypted}://${host}:${adminPort}`
  const open = openParts(config).map(({ name }) => name)
  const connect = `${ownCommand()} connect -c ws${encrypted}://${at}:${port}`
  const next = echoes ? `${connect}/echo/ws/demo` : `${connect}/agent-1/ws/s1`
  return [
    ['wsproxy', `${VERSION} listens on http${encrypted}://${host}:${port}${ports}`],
    ['Redis', redisLine(config, redisUrl, embedded, redisFailure)],
    ['Doors', ['/{agent}/ws/{session}', ...(runDoor ? [`${runPath}{run}`] : []), livePath].join('  ')],
    ['Open', open.length === 0 ? 'nothing without a token' : `${open.join(', ')}: no token needed`],
    ['Next', next],
  ]
    .map(([label, text]) => `${label!.padEnd(8)}${text}`)
    .join('\n')
}

function redisLine(config: Config, url: string, embedded: string | undefined, failure: string | undefined): string {
  if (embedded !== undefined) return `redis://${embedded}; embedded, "wsproxy redis-url" has its password`
  return addressOf(config, url) + (failure === undefined ? '' : `; not connected: ${failure}`)
}
