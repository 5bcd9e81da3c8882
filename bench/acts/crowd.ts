/** The first act of most scenarios: many sockets, each on a session of its own. */
import { DIALECTS } from '../load/dialects.ts'
import type { ConnectResult } from '../load/fleet.ts'
import { Faulty } from '../scenario.ts'
import type { Stage } from '../stage/stage.ts'

/** The number of handshakes under way at the same time. */
export const IN_FLIGHT = 200

const CONNECT_MS = 90_000
const CALL_MS = 5000
const JWT_LIFE_S = 3600

/**
 * Connects the sessions `first` to `first + count - 1`. Throws `Faulty` when one cannot connect.
 */
export async function connectSome(stage: Stage, first: number, count: number): Promise<ConnectResult> {
  return everyone(await stage.receiver.call('connect', { ...orderOf(stage), first, count }, CONNECT_MS))
}

/** Connects as `connectSome`, with a JWT for each session. */
export async function connectWithJwts(stage: Stage, first: number, count: number): Promise<ConnectResult> {
  const jwtsUntil = Math.floor(Date.now() / 1000) + JWT_LIFE_S
  return everyone(await stage.receiver.call('connect', { ...orderOf(stage), first, count, jwtsUntil }, CONNECT_MS))
}

/**
 * Creates the tokens of the sessions 0 to `count - 1`, and their logs where the dialect has
 * numbers.
 */
export async function seed(stage: Stage, count: number): Promise<void> {
  await stage.redis.seedTokens(count)
  if (DIALECTS[stage.dialect].numbered) await stage.redis.seedLogs(count)
}

/** Empties the logs of `seed`, once all sockets are open. */
export async function emptyLogs(stage: Stage, count: number): Promise<void> {
  if (DIALECTS[stage.dialect].numbered) await stage.redis.emptyLogs(count)
}

/** Connects `count` sockets to session 0, whose token must be reusable. Throws as `connectAll`. */
export async function connectTogether(stage: Stage, count: number): Promise<void> {
  const order = { ...orderOf(stage), first: 0, count, together: true }
  everyone(await stage.receiver.call('connect', order, CONNECT_MS))
  await refuseUnless(stage, { sockets: count, channels: 1 })
}

/**
 * Connects sessions as `connectSome`. Throws `Faulty` unless every socket is open and, where a
 * session has a channel of its own, subscribed in Redis.
 */
export async function connectAll(stage: Stage, first: number, count: number): Promise<void> {
  await connectSome(stage, first, count)
  await refuseUnless(stage, { sockets: first + count, channels: first + count })
}

const orderOf = ({ port, dialect }: Stage) => ({ port, dialect, inFlight: IN_FLIGHT })

/** The result of connecting. Throws `Faulty` when a socket could not connect. */
export function everyone(result: ConnectResult): ConnectResult {
  const { opened, failed, reasons } = result
  if (failed === 0) return result
  throw new Faulty(`${failed} of ${opened + failed} sockets could not connect: ${JSON.stringify(reasons)}`)
}

/**
 * Throws `Faulty` unless this many sockets are open and, where each session has a channel,
 * subscribed.
 */
export async function refuseUnless(stage: Stage, expected: { sockets: number; channels: number }): Promise<void> {
  const [subscribed, { open, lost }] = await Promise.all([
    stage.redis.subscribedChannels(),
    stage.receiver.call('sockets', {}, CALL_MS),
  ])
  const channels = DIALECTS[stage.dialect].ownChannels ? subscribed : expected.channels
  if (channels === expected.channels && open === expected.sockets) return
  throw new Faulty(
    `of ${expected.sockets} sockets ${open} are open, of ${expected.channels} channels ${channels} are subscribed; lost: ${JSON.stringify(lost)}`,
  )
}
