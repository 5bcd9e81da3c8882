import { type ConnectClientOptions, connect, type TestClient } from './client.ts'
import type { TestGateway } from './gateway.ts'
import { eventually } from './wait.ts'

/** Connects to the live door and waits for the first frame. `path` may have a query. */
export async function live(
  gateway: { readonly url: string },
  path = '/live',
  options: ConnectClientOptions = {},
): Promise<TestClient> {
  const client = await connect(gateway.url + path, options)
  await client.take(1)
  return client
}

/** Publishes to a channel of Redis, as an agent does. */
export const tell = (gateway: TestGateway, channel: string, value: unknown): Promise<number> =>
  gateway.agent.publish(channel, typeof value === 'string' ? value : JSON.stringify(value))

/** Sends frames and a ping, and resolves with all frames that arrive before the pong. */
export async function answersTo(client: TestClient, ...frames: unknown[]): Promise<Record<string, unknown>[]> {
  const before = client.frames.length
  for (const frame of frames) client.send(frame)
  const mark = Math.random()
  client.send({ type: 'ping', client_time: mark })
  await client.find({ type: 'pong', client_time: mark })
  return client.values.slice(before).filter(({ client_time }) => client_time !== mark)
}

/** The topics of a socket, as the server reports them. */
export async function topicsOf(client: TestClient): Promise<unknown> {
  const correlation_id = `ask-${Math.random()}`
  client.send({ type: 'subscribe', subscriptions: [], correlation_id })
  return (await client.find({ type: 'subscription_updated', correlation_id })).subscriptions
}

/** Waits until a channel of Redis has `count` subscribers. */
export async function untilHeard(gateway: TestGateway, channel: string, count: number): Promise<void> {
  const heard = async () => Number(Object.values(await gateway.agent.pubSubNumSub([channel]))[0]) === count
  await eventually(heard, `${count} subscribers of ${channel}`)
}
