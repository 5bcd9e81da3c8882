/** The first act of most scenarios: a crowd of sockets, each on a session of its own. */
import type { ConnectResult } from '../load/fleet.ts'
import { Refused } from '../scenario.ts'
import type { Stage } from '../stage/stage.ts'

/** Handshakes under way at the same time. */
export const IN_FLIGHT = 200

const CONNECT_MS = 90_000
const CALL_MS = 5000

/** Connects the sessions `first` to `first + count - 1`; whether all have succeeded is for the caller to see. */
export function connectSome(stage: Stage, first: number, count: number): Promise<ConnectResult> {
  return stage.receiver.call('connect', { port: stage.port, first, count, inFlight: IN_FLIGHT }, CONNECT_MS)
}

/** Connects sessions as `connectSome`. Throws `Refused` unless every one is open and subscribed in Redis. */
export async function connectAll(stage: Stage, first: number, count: number): Promise<void> {
  const { failed, reasons } = await connectSome(stage, first, count)
  if (failed > 0) throw new Refused(`${failed} of ${count} sockets could not connect: ${JSON.stringify(reasons)}`)
  const [channels, sockets] = await Promise.all([
    stage.redis.subscribedChannels(),
    stage.receiver.call('sockets', {}, CALL_MS),
  ])
  const expected = first + count
  if (channels === expected && sockets.open === expected) return
  const lost = JSON.stringify(sockets.lost)
  throw new Refused(`of ${expected} sockets ${sockets.open} are open and ${channels} are subscribed; lost: ${lost}`)
}
