import { setImmediate } from 'node:timers/promises'
import type { JwtChecks } from '../connection/auth.ts'
import { Connection, type SocketDoor } from '../connection/connection.ts'
import { isKeyGone } from '../connection/credential.ts'
import { clockMs } from '../connection/times.ts'
import type { Wire } from '../connection/wire.ts'
import { sessionDown } from '../contract/names.ts'
import type { SessionDoor } from '../doors/session/door.ts'
import { WatchState } from '../doors/session/state.ts'
import { StreamAccess } from '../doors/stream/access.ts'
import { StreamDoor } from '../doors/stream/endpoint.ts'
import { StreamReads } from '../doors/stream/reads.ts'
import { Waiting } from '../doors/stream/waiting.ts'
import { StreamWrites } from '../doors/stream/writes.ts'
import type { Admin } from '../http/admin.ts'
import { reasonOf } from '../platform/reason.ts'
import type { TemplatedApp } from '../platform/uws.ts'
import { RedisStreams } from '../redis/streams.ts'
import type { ResumeTickets } from '../sessions/resume-tickets.ts'
import { StreamLog, type StreamPart } from '../sessions/stream-log.ts'
import { EXPOSED_PURPOSES, HEADER_PURPOSES } from '../sessions/ticket.ts'
import { LineSampler } from '../telemetry/sampler.ts'
import type { DoorParts } from './doors.ts'

export interface StreamWiring extends DoorParts {
  /** The door of the sessions that are streams. */
  readonly door: SessionDoor
  readonly tickets: ResumeTickets | undefined
  readonly jwts: JwtChecks | undefined
  readonly admin: Admin
  readonly draining: () => boolean
  readonly fault: (error: unknown) => void
}

/** What the gateway mounts. `stop` resolves when no reader of a stream waits any more. */
export interface Streams {
  mount(app: TemplatedApp): void
  stop(): Promise<void>
}

/** Builds the streams of sessions over HTTP. With HTTP_STREAMS off there is nothing of them. */
export function streamDoor(wiring: StreamWiring): Streams {
  if (!wiring.config.httpStreams) return { mount: () => {}, stop: async () => {} }
  const { config, core, metrics, log, draining, fault } = wiring
  const redis = new RedisStreams(core.redis.at, config.redisShardedPubsub)
  const streamLog = new StreamLog({ log: core.redis.sessionLog, life: (session) => redis.life(session) })
  const { watch, stop } = watches(wiring)
  const { jsonMaxDepth: maxDepth } = config
  const lines = new LineSampler()
  const stats = metrics.door('stream')
  const sent = ({ payloads }: StreamPart) => {
    stats.framesOut += payloads.length
    for (const { length } of payloads) stats.bytesOut += length
  }
  const door = new StreamDoor({
    options: { ...config, encrypted: config.tlsCert !== undefined },
    addresses: core.addresses,
    limits: core.limits,
    draining,
    access: accessOf(wiring),
    reads: new StreamReads({
      log: streamLog,
      touch: (session, { ttl }) => {
        // A gateway without the right to write leaves the life as it is.
        if (ttl !== undefined) redis.touch(session, ttl).catch(() => {})
      },
      watch,
      pollTimeoutMs: config.streamPollTimeoutMs,
      maxDepth,
      sent,
    }),
    writes: new StreamWrites({
      write: (session, write) => redis.write(session, write),
      remove: (session) => redis.delete(session),
      counted: (result) => metrics.streams.appends.inc({ result }),
      maxDepth,
    }),
    events: {
      log: streamLog,
      maxDepth,
      sent,
      lagging: (change) => {
        metrics.streams.lagging += change
      },
    },
    open: (change) => {
      stats.active += change
    },
    watch,
    counted: (result) => metrics.connections.inc({ door: 'stream', result }),
    unusable: (session, error) => {
      const skipped = lines.take(session)
      if (skipped !== undefined)
        log.warn(
          { event: 'stream-unusable', session, reason: reasonOf(error), skipped },
          'a stream cannot be used: Redis refuses it. `wsproxy redis acl` prints the rights',
        )
    },
    fault,
  })
  return { mount: (app) => door.mount(app), stop }
}

function accessOf({ config, core, admin, jwts, tickets }: StreamWiring): StreamAccess {
  return new StreamAccess({
    jwts,
    isRevoked: core.revocations?.isRevoked,
    isRevokedNow: (claims) => core.revocations?.set.hasJwt(claims) === true,
    tokens: core.redis.tokens,
    authorize: (request) => admin.authorize(request),
    acceptsTicket:
      tickets &&
      (async (ticket, { session, agent }, isExposed) => {
        const judged = await tickets.judge(ticket, session, agent, isExposed ? EXPOSED_PURPOSES : HEADER_PURPOSES)
        if (typeof judged === 'string' || (await isKeyGone(judged.claims, jwts))) return undefined
        return () => tickets.stillCounts(judged)
      }),
    spendsTokens: config.authTokenMode !== 'reusable',
    allowQueryToken: config.authAllowQueryToken,
  })
}

/** What a reader that waits is for its topic: a socket that is only told that something came. */
class WakingWire implements Wire<Connection> {
  connection!: Connection
  readonly #waiting: Waiting

  constructor(waiting: Waiting) {
    this.#waiting = waiting
  }

  send(): number {
    this.#waiting.wake()
    return 1
  }

  cork(write: () => void): void {
    write()
  }

  getBufferedAmount(): number {
    return 0
  }

  end(): void {
    this.#waiting.close()
  }

  close(): void {
    this.#waiting.close()
  }

  ping(): void {}
}

/** Counts of frames that go nowhere. */
const NO_STATS = { framesOut: 0, bytesOut: 0, dropped: 0, framesIn: 0, bytesIn: 0, overRate: 0, active: 0 }

/** Lets readers hear of sessions, beside the sockets of the session door. */
function watches({ core, door: session }: StreamWiring) {
  const all = new Set<Waiting>()
  const door: SocketDoor = {
    name: 'stream',
    subjectName: session.subjectName,
    maxMessageBytes: session.maxMessageBytes,
    rate: session.rate,
    idleTimeout: undefined,
    stats: NO_STATS,
    receive: () => {},
    rateLimited: () => {},
    goodbye: () => undefined,
  }
  const watch = async (sessionId: string, agent: string): Promise<Waiting> => {
    const state = new WatchState(agent)
    const connection = new Connection(door, sessionId, '', clockMs(), state)
    const waiting = new Waiting(() => {
      all.delete(waiting)
      core.bindings.leaveAll(connection)
      core.delivery.forget(connection)
      connection.gone()
    })
    connection.open(new WakingWire(waiting), clockMs())
    all.add(waiting)
    try {
      await core.bindings.join(connection, session, [sessionDown(sessionId)])
    } catch (error) {
      waiting.end()
      throw error
    }
    return waiting
  }
  const stop = async () => {
    for (const waiting of [...all]) waiting.close()
    // Their answers are written in the turn in which they end.
    while (all.size > 0) await setImmediate()
  }
  return { watch, stop }
}
