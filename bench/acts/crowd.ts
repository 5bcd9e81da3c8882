/** The first act of most scenarios: a crowd of sockets, each on a session of its own. */
import { DIALECTS } from '../load/dialects.ts'
import type { ConnectOrder, ConnectResult } from '../load/fleet.ts'
import { Refused } from '../scenario.ts'
import type { Stage } from '../stage/stage.ts'

/** Handshakes under way at the same time. */
export const IN_FLIGHT = 200

const CONNECT_MS = 90_000
const CALL_MS = 5000

/** Connects the sessions `first` to `first + count - 1`; whether all have succeeded is for the caller to see. */
export function connectSome(stage: Stage, first: number, count: number): Promise<ConnectResult> {
  return connect(stage, { first, count })
}

/** Connects `count` sockets to session 0, whose token must be good for all. Throws as `connectAll`. */
export async function connectTogether(stage: Stage, count: number): Promise<void> {
  refuseFailures(await connect(stage, { first: 0, count, together: true }))
  await refuseUnless(stage, { sockets: count, channels: 1 })
}

/** Connects sessions as `connectSome`. Throws `Refused` unless every one is open and, where it has a channel of its own, subscribed in Redis. */
export async function connectAll(stage: Stage, first: number, count: number): Promise<void> {
  refuseFailures(await connectSome(stage, first, count))
  await refuseUnless(stage, { sockets: first + count, channels: first + count })
}

function connect(stage: Stage, order: Pick<ConnectOrder, 'first' | 'count' | 'together'>): Promise<ConnectResult> {
  const { port, dialect } = stage
  return stage.receiver.call('connect', { port, dialect, inFlight: IN_FLIGHT, ...order }, CONNECT_MS)
}

function refuseFailures({ opened, failed, reasons }: ConnectResult): void {
  if (failed > 0)
    throw new Refused(`${failed} of ${opened + failed} sockets could not connect: ${JSON.stringify(reasons)}`)
}

/** Throws `Refused` unless so many are open and, where each has a channel of its own, subscribed in Redis. */
export async function refuseUnless(stage: Stage, expected: { sockets: number; channels: number }): Promise<void> {
  const [subscribed, { open, lost }] = await Promise.all([
    stage.redis.subscribedChannels(),
    stage.receiver.call('sockets', {}, CALL_MS),
  ])
  const channels = DIALECTS[stage.dialect].ownChannels ? subscribed : expected.channels
  if (channels === expected.channels && open === expected.sockets) return
  throw new Refused(
    `of ${expected.sockets} sockets ${open} are open, of ${expected.channels} channels ${channels} are subscribed; lost: ${JSON.stringify(lost)}`,
  )
}
