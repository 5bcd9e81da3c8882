import { type CloseCase, closeCases } from './cases.gen.ts'
import type { Peer } from './peer.ts'

/** How long the server looks for a dial that must not come. */
const QUIET_MS = 2000
/** A client that has no hint comes back in this time. */
const RETURN_MS = 30_000
const HINT_MS = 1500
/** How much later than the hint a client may come. */
const LATE_MS = 5000
/** A client pings after 25 s of silence, and dials 10 s later. */
const SILENT_MS = 45_000
/** Clients that lose their connections together. */
const CROWD = 8
/** Eight random pauses below 500 ms are all within this time in one of a million runs. */
const CROWDED_MS = 50
/** Timers of client and server may differ by this. */
const EARLY_MS = 20

/** One dial of a client. */
export interface Visit {
  readonly atMs: number
  readonly token: string | undefined
  /** The parameter `cursor` of the address. */
  readonly cursor: string | undefined
  readonly peer: Peer
}

/** Waits for the next dial of the client; throws when none comes in time. */
export type NextVisit = (withinMs?: number) => Promise<Visit>

/** What the server plays, and what the client must do. `play` throws what is wrong with it. */
export interface Case {
  readonly name: string
  readonly play: (next: NextVisit) => Promise<void>
  /** How many clients of the case run at a time; by default one. */
  readonly clients?: number
}

const position = (epoch: string, offset: number, more: object = {}): object => ({
  type: 'control',
  command: 'position',
  grade: 'exact',
  epoch,
  offset,
  ...more,
})

async function staysAway(next: NextVisit): Promise<void> {
  const visit = await next(QUIET_MS).catch(() => undefined)
  if (!visit) return
  visit.peer.cut()
  throw new Error('it dialled again')
}

async function comesAt(next: NextVisit, closedAtMs: number): Promise<void> {
  const { atMs, peer } = await next(HINT_MS + LATE_MS)
  peer.cut()
  const ms = atMs - closedAtMs
  if (ms < HINT_MS - EARLY_MS) throw new Error(`it came back after ${ms} ms, before the ${HINT_MS} ms of the server`)
}

async function asksForToken(next: NextVisit, first: Visit, { code, reason }: CloseCase): Promise<void> {
  const second = await next(RETURN_MS)
  if (second.token === first.token) throw new Error('it came back with the token that was refused')
  second.peer.end(code, reason)
  await staysAway(next)
}

const playClose = (each: CloseCase): Case => ({
  name: `${each.code} ${each.reason}`,
  async play(next) {
    const first = await next()
    const hint = each.hasHint ? ` retry=${HINT_MS}` : ''
    first.peer.end(each.code, each.reason + hint)
    if (each.client === 'final') await staysAway(next)
    else if (each.client === 'new-token') await asksForToken(next, first, each)
    else if (each.hasHint) await comesAt(next, Date.now())
    else (await next(RETURN_MS)).peer.cut()
  },
})

/** A case in which the client gets frames, loses the connection, and brings a cursor. */
const playFrames = (name: string, frames: readonly (string | object)[], cursor: string | undefined): Case => ({
  name,
  async play(next) {
    const { peer } = await next()
    peer.say(...frames)
    // The frames must arrive before the end does.
    await new Promise((resolve) => setTimeout(resolve, 200))
    peer.cut()
    const second = await next(RETURN_MS)
    second.peer.cut()
    if (second.cursor !== cursor) throw new Error(`its cursor is ${second.cursor}, and should be ${cursor}`)
  },
})

/** The connection is open, and nothing comes through it any more. */
const playSilence: Case = {
  name: 'silence',
  async play(next) {
    const { peer } = await next()
    peer.say(position('e1', 0))
    peer.mute()
    const second = await next(SILENT_MS)
    second.peer.cut()
    if (!peer.hasHeard) throw new Error('it dialled again without a ping')
  },
}

/** Many clients lose their connections in the same moment, and must not come back in one. */
const playJitter: Case = {
  name: 'random pauses',
  clients: CROWD,
  async play(next) {
    const first: Visit[] = []
    while (first.length < CROWD) first.push(await next())
    const cutAtMs = Date.now()
    for (const { peer } of first) peer.cut()
    const pauses: number[] = []
    while (pauses.length < CROWD) pauses.push((await next(RETURN_MS)).atMs - cutAtMs)
    const spreadMs = Math.max(...pauses) - Math.min(...pauses)
    if (spreadMs < CROWDED_MS) throw new Error(`${CROWD} clients came back within ${spreadMs} ms`)
  },
}

const control = (command: string, more: object = {}): object => ({ type: 'control', command, ...more })

/** Every case: each close of the table of codes, and the hints of the server. */
export const cases: readonly Case[] = [
  ...closeCases.map(playClose),
  {
    name: 'goodbye',
    async play(next) {
      const { peer } = await next()
      peer.say(position('e1', 0), control('goodbye', { reason: 'draining', reconnect_after_ms: HINT_MS }))
      peer.end(1001, 'draining')
      await comesAt(next, Date.now())
    },
  },
  playFrames('resume behind the last message', [position('e1', 0), '1 {"n":1}', '2 {"n":2}'], 'e1.2'),
  playFrames('resume behind a position', [position('e1', 7)], 'e1.7'),
  playFrames('resume behind bytes', [position('e1', 0), Buffer.from([0x31, 0x20, 0xff])], 'e1.1'),
  playFrames('resume behind a gap', [position('e1', 0), control('gap', { from: 1, to: 4 }), '5 {"n":5}'], 'e1.5'),
  playFrames('a position in the middle', [position('e1', 8), '9 0', position('e2', 0), '1 0'], 'e2.1'),
  playFrames('a session without a log', [control('position', { grade: 'none' }), '- {"n":1}'], undefined),
  playSilence,
  playJitter,
  playFrames('a frame of a later version', [position('e1', 0), control('later', { x: 1 }), '1 0'], 'e1.1'),
]
