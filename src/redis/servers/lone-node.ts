import type { SubscriberConnection } from '../pubsub/subscriber.ts'
import { parseSlots } from '../slots.ts'
import { isForbidden } from '../wire/errors.ts'

/**
 * Asserts that a server which REDIS_URL names alone has all keys. One node of a cluster answers
 * MOVED for the keys of the others, so some sessions would work and others never.
 * @throws Error that names REDIS_CLUSTER_NODES.
 */
export async function assertHasAllKeys(client: Pick<SubscriberConnection, 'greeting' | 'sendCommand'>): Promise<void> {
  if (client.greeting.mode !== 'cluster') return
  const answer = await client.sendCommand(['CLUSTER', 'SLOTS']).catch((error: Error) => {
    // Without the right to ask, the MOVED of a key shows it later.
    if (isForbidden(error)) return undefined
    throw error
  })
  if (answer === undefined) return
  const nodes = new Set(parseSlots(answer, 'this host').map(({ address }) => address))
  if (nodes.size > 1)
    throw new Error(
      `the server is one of ${nodes.size} nodes of a cluster and has only its own keys: set REDIS_CLUSTER_NODES to the host:port of some nodes`,
    )
}
