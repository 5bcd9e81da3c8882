import { createClient } from 'redis'
import type { Target } from './link.ts'

export interface SentinelOptions {
  /** `host:port` of each. */
  readonly sentinels: readonly string[]
  readonly master: string
  /** Credentials, TLS and database of the master; where it is, the Sentinels say. */
  readonly template: Target
  readonly password: string | undefined
}

const SENTINEL_TIMEOUT_MS = 1000

/**
 * Where the master is now: asks the Sentinels in turn, as Redis' page for Sentinel clients demands, and begins with the one that answered last.
 * @returns a function to be called before each attempt to connect; it rejects when no Sentinel knows a master.
 */
export function sentinelTarget({ sentinels, master, template, password }: SentinelOptions): () => Promise<Target> {
  const order = [...sentinels]
  return async () => {
    const reasons: string[] = []
    for (const sentinel of [...order]) {
      try {
        const [host, port] = await askSentinel(sentinel, master, password)
        order.unshift(...order.splice(order.indexOf(sentinel), 1))
        return { ...template, host, port, master: true }
      } catch (error) {
        reasons.push(`${sentinel}: ${(error as Error).message}`)
      }
    }
    throw new Error(`no Sentinel knows the master ${master} (${reasons.join('; ')})`)
  }
}

async function askSentinel(sentinel: string, master: string, password: string | undefined): Promise<[string, number]> {
  const { hostname, port } = new URL(`redis://${sentinel}`)
  const client = createClient({
    socket: {
      host: hostname,
      port: Number(port || 26379),
      reconnectStrategy: false,
      connectTimeout: SENTINEL_TIMEOUT_MS,
    },
    ...(password !== undefined && { password }),
    commandOptions: { timeout: SENTINEL_TIMEOUT_MS },
  })
  client.on('error', () => {})
  try {
    const asked = client
      .connect()
      .then(() => client.sendCommand<string[] | null>(['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', master]))
    const answer = await Promise.race([asked, late()])
    if (answer === null || answer.length < 2) throw new Error('unknown master')
    return [answer[0]!, Number(answer[1])]
  } finally {
    if (client.isOpen) client.destroy()
  }
}

async function late(): Promise<never> {
  await new Promise((resolve) => setTimeout(resolve, SENTINEL_TIMEOUT_MS).unref())
  throw new Error(`no answer within ${SENTINEL_TIMEOUT_MS} ms`)
}
