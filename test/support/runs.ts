import { runEvents } from '../../src/contract/names.ts'
import { renderRun, weppChecklist } from '../../src/doors/run/checklist.ts'
import { type ConnectClientOptions, connect, type TestClient } from './client.ts'
import type { TestGateway } from './gateway.ts'
import type { Client } from './redis.ts'
import { eventually } from './wait.ts'

/** The checklist frame of a run with these fields. */
export const frameOf = (fields: Readonly<Record<string, string>> = {}): string =>
  renderRun(weppChecklist, new Map(Object.entries(fields)))

export const PING = '{"type":"ping"}'
export const HANGUP = '{"type":"hangup"}'

/** Connects to a run and waits for the first frame, unless `first` is false. */
export async function watchRun(
  gateway: TestGateway,
  run: string,
  { first = true, ...options }: ConnectClientOptions & { first?: boolean } = {},
): Promise<TestClient> {
  const client = await connect(`${gateway.url}/${run}`, options)
  if (first) await client.take(1)
  return client
}

/** The checklists of a client: all of its frames but pings and the hangup. */
export const shown = (client: TestClient): string[] =>
  client.frames.map(String).filter((frame) => frame !== PING && frame !== HANGUP)

/** Waits until `frame` is the last checklist of each client. */
export async function untilShown(clients: readonly TestClient[], frame: string): Promise<void> {
  const missing = () => clients.filter((client) => shown(client).at(-1) !== frame)
  await eventually(() => missing().length === 0, `${frame.slice(-60)} at every client`).catch((error: Error) => {
    const [client] = missing()
    throw new Error(
      `${error.message}: ${missing().length} of ${clients.length} lack it, one (closed: ${client?.code}) has ${client && shown(client).at(-1)?.slice(-60)}`,
    )
  })
}

/** How often the server has executed and refused HGETALL since CONFIG RESETSTAT. */
export async function hashReads(agent: Client): Promise<{ done: number; refused: number }> {
  const line = /^cmdstat_hgetall:(.*)$/m.exec(await agent.info('commandstats'))?.[1] ?? ''
  const of = (name: string) => Number(new RegExp(`${name}=(\\d+)`).exec(line)?.[1] ?? 0)
  return { done: of('calls'), refused: of('rejected_calls') }
}

/** The number of hashes read during `work`, until the server has seen no read for 100 ms. */
export async function readsDuring(agent: Client, work: () => Promise<unknown>): Promise<number> {
  const { done } = await hashReads(agent)
  await work()
  let last = -1
  let calm = performance.now()
  await eventually(async () => {
    const { done: now } = await hashReads(agent)
    if (now !== last) calm = performance.now()
    last = now
    return performance.now() - calm > 100
  }, 'no more reads')
  return last - done
}

/** Waits until the gateway has unsubscribed from the events of a run. */
export async function untilLeft(gateway: TestGateway, run: string, database = 0): Promise<void> {
  const channel = runEvents(database, run)
  const left = async () => (await gateway.agent.pubSubChannels(channel)).length === 0
  await eventually(left, `${channel} to be left`)
}

/** The `__key...` channels and the number of patterns with at least one subscriber. */
export async function keyspace(gateway: TestGateway): Promise<{ channels: string[]; patterns: number }> {
  const channels = await gateway.agent.pubSubChannels('__key*')
  return { channels: channels.map(String).sort(), patterns: Number(await gateway.agent.pubSubNumPat()) }
}
