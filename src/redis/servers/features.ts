import { randomBytes } from 'node:crypto'
import { privateSession, sessionAuth } from '../../contract/names.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { RedisConnection } from '../wire/connection.ts'
import { isRefusedCommand } from '../wire/errors.ts'

/** Products whose own version is in INFO. Valkey and others also claim a version of Redis. */
const PRODUCTS = { valkey: 'Valkey', keydb: 'KeyDB', dragonfly: 'Dragonfly', garnet: 'Garnet', redis: 'Redis' }

/** A server by the name and the version that it gives itself, such as `Valkey 8.1.1`. */
export interface Product {
  readonly name: string
  readonly version: string
}

/** Finds product and version in the reply to `INFO server`; undefined where it holds none. */
export function productIn(info: string): Product | undefined {
  for (const [key, name] of Object.entries(PRODUCTS)) {
    const version = new RegExp(`^${key}_version:(\\S+)`, 'm').exec(info)?.[1]
    if (version !== undefined) return { name, version }
  }
  return undefined
}

const UNKNOWN_PRODUCT = 'a server of unknown version'

/** Reads one key, which does not exist: proxies take no script without a key. */
const SCRIPT = `return redis.call('GET', KEYS[1])`

/** A command that the server may lack, what it is for, and what happens without it. */
interface Lack {
  readonly command: string
  readonly need: string
  readonly reply: string
}

/** Says once what a server lacks of what the gateway uses, and which server it is. */
export class ServerFeatures {
  readonly #log: Logger
  /** What was logged last. The same server is not logged again. */
  #logged = ''

  constructor(log: Logger) {
    this.#log = log
  }

  /** Looks at a new connection. The link does not wait for it, and logs a lost connection. */
  async look(client: RedisConnection): Promise<void> {
    try {
      const lacks = await lacksOf(client)
      const text = JSON.stringify(lacks)
      if (text === this.#logged || (lacks.length === 0 && this.#logged === '')) return
      this.#logged = text
      if (lacks.length === 0) return
      const server = await serverOf(client)
      for (const { command, need, reply } of lacks)
        this.#log.warn({ event: 'redis-lacks', command, server, reply }, `${server} refuses ${command}: ${need}`)
    } catch {
      // The link logs why the connection was lost.
    }
  }
}

async function lacksOf(client: RedisConnection): Promise<Lack[]> {
  const { protocol, refusal } = client.greeting
  const key = sessionAuth(privateSession(randomBytes(8).toString('hex')))
  const script = await refusalOf(client, ['EVAL', SCRIPT, '1', key])
  return [
    ...(protocol === 2
      ? [{ command: 'HELLO', need: 'it chooses RESP3; the gateway speaks RESP2 instead', reply: refusal ?? '' }]
      : []),
    ...(script === undefined
      ? []
      : [{ command: 'EVAL', need: 'it compares tokens; every upgrade with a token is refused', reply: script }]),
  ]
}

/** The error text when the server does not take this command; undefined for every other reply. */
const refusalOf = (client: RedisConnection, command: readonly string[]): Promise<string | undefined> =>
  client.sendCommand(command).then(
    () => undefined,
    (error: Error) => (isRefusedCommand(error) ? error.message : undefined),
  )

async function serverOf(client: RedisConnection): Promise<string> {
  const { server, version } = client.greeting
  const info = await client.sendCommand(['INFO', 'server']).then(String, () => '')
  const found = productIn(info) ?? (version === undefined ? undefined : { name: server ?? 'redis', version })
  return found === undefined ? UNKNOWN_PRODUCT : `${found.name} ${found.version}`
}
