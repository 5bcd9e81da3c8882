import { reasonOf } from '../../platform/reason.ts'
import type { Target } from '../wire/connection.ts'
import { askOnce, hostAndPort } from './ask.ts'

export interface SentinelOptions {
  /** `host:port` of each Sentinel. */
  readonly sentinels: readonly string[]
  readonly master: string
  /** Credentials, TLS and database of the master. The Sentinels give its address. */
  readonly template: Target
  /** Credentials and TLS of the Sentinels themselves. */
  readonly own: Pick<Target, 'tls' | 'username' | 'password' | 'secure' | 'login'>
}

const SENTINEL_PORT = 26379

/**
 * Returns a function that finds the current master. Call it before each attempt to connect. It asks
 * the Sentinels one after the other, first the one that answered last (guidelines for Sentinel
 * clients, step 1), and rejects when none of them knows the master.
 */
export function sentinelTarget({ sentinels, master, template, own }: SentinelOptions): () => Promise<Target> {
  const order = [...sentinels]
  return async () => {
    const reasons: string[] = []
    for (const sentinel of [...order]) {
      try {
        const [host, port] = await askSentinel(sentinel, master, own)
        order.unshift(...order.splice(order.indexOf(sentinel), 1))
        return { ...template, host, port }
      } catch (error) {
        reasons.push(`${sentinel}: ${reasonOf(error)}`)
      }
    }
    throw new Error(`no Sentinel knows the master ${master} of REDIS_SENTINEL_MASTER (${reasons.join('; ')})`)
  }
}

async function askSentinel(sentinel: string, master: string, own: SentinelOptions['own']): Promise<[string, number]> {
  const server = { ...own, ...hostAndPort(sentinel, SENTINEL_PORT), database: 0 }
  const answer = await askOnce(server, ['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', master])
  const [host, port] = (answer ?? []) as string[]
  if (host === undefined || port === undefined) throw new Error('unknown master')
  return [host, Number(port)]
}
