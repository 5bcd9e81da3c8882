import { randomBytes } from 'node:crypto'
import { privateSession, sessionAuth } from '../../contract/names.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { RedisConnection } from '../wire/connection.ts'
import { isRefusedCommand, isReply } from '../wire/errors.ts'

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

/** Commands that only some uses need, so that a refusal would come late. */
const LATE: Readonly<Record<string, string>> = {
  SUBSCRIBE: 'no message reaches a client',
  PSUBSCRIBE: 'the live door does not hear agents that publish to agent_events:*',
}
/** With REDIS_SHARDED_PUBSUB=true. */
const LATE_SHARDED: Readonly<Record<string, string>> = {
  SSUBSCRIBE: 'REDIS_SHARDED_PUBSUB=true needs it; every session is refused',
  SPUBLISH: 'REDIS_SHARDED_PUBSUB=true needs it; frames of clients reach no agent',
}

/** Says once what a server lacks of what the gateway uses, and which server it is. */
export class ServerFeatures {
  readonly #log: Logger
  /** What was logged last. The same server is not logged again. */
  #logged = ''

  readonly #late: Readonly<Record<string, string>>

  /** @param sharded session channels use sharded pub/sub. */
  constructor(log: Logger, sharded: boolean) {
    this.#log = log
    this.#late = sharded ? { ...LATE, ...LATE_SHARDED } : LATE
  }

  /** Looks at a new connection. The link does not wait for it, and logs a lost connection. */
  async look(client: RedisConnection): Promise<void> {
    try {
      const lacks = [...(await lacksOf(client)), ...(await unknownOf(client, this.#late))]
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

/** Those of the commands that the server says it does not know. */
async function unknownOf(client: RedisConnection, needs: Readonly<Record<string, string>>): Promise<Lack[]> {
  const commands = Object.keys(needs)
  const infos = await client.sendCommand(['COMMAND', 'INFO', ...commands]).catch((error: Error) => {
    if (isReply(error)) return undefined
    throw error
  })
  if (!Array.isArray(infos) || infos.length !== commands.length) return []
  // Redis answers nil for an unknown command, and some servers an empty list.
  const isUnknown = (i: number) => infos[i] === null || (Array.isArray(infos[i]) && infos[i].length === 0)
  return commands.flatMap((command, i) =>
    isUnknown(i) ? [{ command, need: needs[command]!, reply: 'nothing for it in COMMAND INFO' }] : [],
  )
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
