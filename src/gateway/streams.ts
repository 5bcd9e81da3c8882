import type { Config } from '../config/table.ts'
import type { JwtChecks } from '../connection/auth.ts'
import type { SessionDoor } from '../doors/session/door.ts'
import { SessionStreamDoor } from '../doors/session/stream.ts'
import { StreamCalls } from '../doors/session/stream-calls.ts'
import { StreamPosts } from '../doors/session/stream-posts.ts'
import { ownPages } from '../http/own-page.ts'
import type { Route } from '../http/routes.ts'
import { RedisSessionPosts } from '../redis/session-posts.ts'
import type { ResumeTickets } from '../sessions/resume-tickets.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Core } from './core.ts'

interface StreamParts {
  readonly config: Config
  readonly core: Core
  readonly metrics: Metrics
}

export interface SessionStreams {
  readonly door: SessionStreamDoor
  readonly routes: readonly Route[]
}

/** Builds what serves sessions over plain HTTP, beside their door for sockets. */
export function sessionStreams(
  { config, core, metrics }: StreamParts,
  session: SessionDoor,
  tickets: ResumeTickets | undefined,
  jwts: JwtChecks | undefined,
  cancel: (sessionId: string, run: string) => Promise<void>,
): SessionStreams {
  const door = new SessionStreamDoor({
    options: config,
    session,
    tickets,
    enqueue: (connection, frame) => core.delivery.enqueue(connection, frame),
    metrics,
  })
  const { redis } = core
  const posts = new StreamPosts({
    options: config,
    upstream: redis.upstream,
    posts: new RedisSessionPosts((key, args) => redis.command(key, args), config.redisShardedPubsub),
    cancel,
    metrics,
  })
  const { routes } = new StreamCalls({
    options: config,
    door,
    tickets,
    tokens: core.redis.tokens,
    jwts,
    isRevoked: core.revocations?.isRevoked,
    limits: core.limits,
    posts,
    maxBodyBytes: session.maxMessageBytes,
    cors: (origin) => core.acceptor.checks.corsOf(door, origin),
    ownPage: ownPages(config.allowedOrigins),
    refusedTo: (of, address, refusal, subject, why) =>
      core.acceptor.refused(of, address, refusal, undefined, subject, why),
  })
  return { door, routes }
}
