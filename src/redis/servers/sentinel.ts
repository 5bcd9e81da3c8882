import type { Place } from '../../config/redis-servers.ts'
import { bracketed } from '../../platform/address.ts'
import { reasonOf } from '../../platform/reason.ts'
import type { Target } from '../wire/connection.ts'
import { askOnce } from './ask.ts'

export interface SentinelOptions {
  readonly sentinels: readonly Place[]
  readonly master: string
  /** Credentials, TLS and database of the master. The Sentinels give its address. */
  readonly template: Target
  /** Where a server can be reached that a Sentinel names so. */
  readonly reachable: (announced: Place) => Place
  /** Credentials and TLS of the Sentinels themselves. */
  readonly own: Pick<Target, 'tls' | 'username' | 'password' | 'secure' | 'login'>
}

/**
 * Returns a function that finds the current master. Call it before each attempt to connect. It asks
 * the Sentinels one after the other, first the one that answered last (guidelines for Sentinel
 * clients, step 1), and rejects when none of them knows the master.
 */
export function sentinelTarget({
  sentinels,
  master,
  template,
  reachable,
  own,
}: SentinelOptions): () => Promise<Target> {
  const order = [...sentinels]
  return async () => {
    const reasons: string[] = []
    for (const sentinel of [...order]) {
      try {
        const announced = await askSentinel(sentinel, master, own)
        order.unshift(...order.splice(order.indexOf(sentinel), 1))
        return { ...template, ...reachable(announced) }
      } catch (error) {
        reasons.push(`${bracketed(sentinel.host)}:${sentinel.port}: ${reasonOf(error)}`)
      }
    }
    throw new Error(`no Sentinel knows the master ${master} of REDIS_SENTINEL_MASTER (${reasons.join('; ')})`)
  }
}

async function askSentinel(sentinel: Place, master: string, own: SentinelOptions['own']): Promise<Place> {
  const server = { ...own, ...sentinel, database: 0 }
  const answer = await askOnce(server, ['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', master])
  const [host, port] = (answer ?? []) as string[]
  if (host === undefined || port === undefined) throw new Error('unknown master')
  return { host, port: Number(port) }
}
