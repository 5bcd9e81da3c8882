import { randomBytes } from 'node:crypto'
import type { Config } from '../config/table.ts'
import type { JwtChecks } from '../connection/auth.ts'
import { liveBus } from '../contract/names.ts'
import { topicsOf } from '../contract/roles.ts'
import { LiveBus } from '../doors/live/bus.ts'
import { CommandExecutor, type ExecutorParts } from '../doors/live/commands.ts'
import { Coordination } from '../doors/live/coordination.ts'
import { LiveDoor } from '../doors/live/door.ts'
import { unusableMessages } from '../doors/live/messages.ts'
import { RetainedMessages } from '../doors/live/retained.ts'
import { liveRoutes } from '../doors/live/routes.ts'
import { BusSignature, busKeys } from '../doors/live/signature.ts'
import { outcomes, readingsOf } from '../doors/live/stats.ts'
import { StatusCache, type SystemHealth } from '../doors/live/status.ts'
import { LiveStreamDoor } from '../doors/live/stream.ts'
import { LiveTopics } from '../doors/live/topics.ts'
import type { Admin, AdminRequest } from '../http/admin.ts'
import { HEALTHY_MS } from '../http/probes.ts'
import { shared } from '../platform/shared.ts'
import { aliasPage } from '../telemetry/aliases.ts'
import { FrameTypes } from '../telemetry/frame-types.ts'
import { instance } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { LineSampler } from '../telemetry/sampler.ts'
import { disconnectCall, disconnects } from './disconnects.ts'
import type { DoorParts } from './doors.ts'
import { outboxes } from './outbox.ts'
import { revokeCall, revokesHere } from './revoking.ts'

export interface LiveWiring extends DoorParts {
  readonly draining: () => boolean
  /** The number of open session sockets of each agent, in all workers. */
  readonly sessionsByAgent: () => Promise<ReadonlyMap<string, number>>
  /** Whether topics are for this caller. */
  readonly isOperator: (request: AdminRequest) => boolean
  /** Answers `system_health`. */
  readonly health: () => SystemHealth | Promise<SystemHealth>
  readonly admin: Admin
  readonly jwts: JwtChecks | undefined
}

/** The live door, its HTTP endpoints, and `stop` for its timers. */
export function liveDoor(wiring: LiveWiring) {
  const { config, core, metrics, log, draining, sessionsByAgent, health, isOperator } = wiring
  const { redis, bindings, delivery, closer } = core
  if (config.metricsAliases.includes('processor')) metrics.live.types = new FrameTypes()
  const topics = topicsFor(wiring)
  const sockets = () =>
    [...core.sockets].filter(({ door: { name } }) => name === LiveDoor.NAME || name === LiveStreamDoor.NAME)
  const unusable = unusableMessages(metrics, log)
  const disconnectAll = disconnects(wiring)
  const revoke = revokesHere(wiring)
  const orders = { sockets, disconnectAll, revoke }
  const { bus, signature } = busOf(wiring, orders, (why) => unusable(`bus (${why})`))
  const retained = retainedMessages(wiring)
  const coordination = new Coordination(() => outcomes(metrics))
  const outbox = outboxes(wiring, () => door)
  const door = new LiveDoor({
    publisher: outbox.publisher,
    options: config,
    topics,
    bindings,
    bus,
    status: new StatusCache({ sessionsByAgent, coordination: () => coordination.metrics(), health }),
    retained,
    metrics,
    enqueue: (connection, frame) => delivery.enqueue(connection, frame),
    guard: (connection, work) => closer.runGuarded(connection, work),
    renewals: core.renewals,
    unusable,
  })
  const readings = () => readingsOf(metrics, door, [...bindings.of(door)], topics)
  metrics.live.register(readings)
  bus.start()
  const routes = liveRoutes({
    bus,
    topics,
    retained,
    sockets,
    held: () => bindings.of(door),
    limits: config,
    maxMessageBytes: door.maxMessageBytes,
    accepted: async () => (await readings()).connections,
    pingRedis: () => redis.ping(HEALTHY_MS),
    draining,
    isOperator,
    backgroundTasks: () => ({
      socket_sweep: core.sweeping,
      bus: redis.feed.isConfirmed(liveBus()),
      coordination_samples: coordination.sampling,
    }),
    metrics: config.metricsEnabled ? livePages(config, metrics) : undefined,
  })
  announce(signature, wiring)
  const fleet = signature.enabled ? bus : undefined
  const calls = [disconnectCall(disconnectAll, wiring, fleet), revokeCall(revoke, wiring, fleet) ?? []].flat()
  const stream = config.httpStreams ? liveStreamDoor(wiring, door) : undefined
  return {
    doors: stream ? [door, stream] : [door],
    routes: [...routes, ...calls],
    publicRoutes: [...outbox.routes, ...(stream?.routes ?? [])],
    stop: () => coordination.stop(),
  }
}

function liveStreamDoor({ config, core, metrics }: LiveWiring, live: LiveDoor): LiveStreamDoor {
  const door: LiveStreamDoor = new LiveStreamDoor({
    options: config,
    live,
    cors: (origin) => core.acceptor.checks.corsOf(door, origin),
    received: (connection, frame) =>
      core.closer.runGuarded(connection, () => core.receiver.message(connection, frame, false)),
    metrics,
  })
  return door
}

/** The topics of the live door, with what the shared token grants where roles count. */
function topicsFor(wiring: LiveWiring): LiveTopics {
  const { liveTopics, liveMaxSubscriptions, liveTopicRoles: rules } = wiring.config
  const shared = { topics: topicsOf('viewer', rules), publishTopics: [], subject: undefined }
  return new LiveTopics(liveTopics, liveMaxSubscriptions, deniedTopics(wiring), rules.length > 0 ? shared : undefined)
}

/** Counts and logs topics that the role or the JWT of a socket does not grant. */
function deniedTopics({ metrics, log }: LiveWiring): (topics: readonly string[]) => void {
  const lines = new LineSampler()
  return (topics) => {
    metrics.users.roleDenials.inc({ type: 'topic' }, topics.length)
    const skipped = lines.take('')
    if (skipped !== undefined)
      log.info(
        { event: 'topic-denied', topics: topics.slice(0, 10), skipped },
        'a live socket may not have these topics',
      )
  }
}

/** The bus between instances, and what signs its orders. */
function busOf(
  { config, core, metrics }: LiveWiring,
  orders: Pick<ExecutorParts, 'sockets' | 'disconnectAll' | 'revoke'>,
  unusable: (why: string) => void,
) {
  const { redis, bindings, delivery, closer } = core
  const executor = new CommandExecutor({
    bindings,
    live: metrics.live,
    ...orders,
    fanOut: (topic, frame) => delivery.fanOut(topic, frame),
    end: (connection, close) => closer.end(connection, close),
  })
  // Not that of the process: several gateways in one process each answer the orders of the others.
  const member = randomBytes(8).toString('hex')
  const signature = new BusSignature(busKeys(config), member)
  const bus = new LiveBus({
    instance: member,
    signature,
    bindings,
    ready: () => redis.readyFor(liveBus()),
    publish: (channel, message) => redis.publish(channel, message),
    countsAll: config.redisClusterNodes.length === 0,
    execute: (command) => executor.execute(command),
    unusable,
  })
  return { bus, signature }
}

/** Undefined: `LIVE_LAST` names no topic. */
function retainedMessages({ config, core, metrics, log }: LiveWiring): RetainedMessages | undefined {
  if (config.liveLast.length === 0) return undefined
  const lines = new LineSampler()
  return new RetainedMessages({
    rules: config.liveLast,
    ttlMs: config.liveLastTtlMs,
    limits: { maxBytes: config.liveLastMaxBytes, maxDepth: config.jsonMaxDepth },
    command: (key, args) => core.redis.command(key, args),
    send: (connection, frame) => {
      metrics.live.types?.sent(frame, 1)
      core.delivery.enqueue(connection, frame)
    },
    failed: (topic, reason) => {
      const skipped = lines.take(topic)
      if (skipped !== undefined)
        log.warn({ event: 'retained-unusable', topic, reason, skipped }, 'the last message of a topic was not sent')
    },
  })
}

/** Logs what the settings leave open. */
function announce(signature: BusSignature, { config, log }: LiveWiring): void {
  if (!signature.enabled)
    log.info(
      { event: 'bus-off' },
      'neither FLEET_SECRET nor ADMIN_TOKEN is set: orders between instances (broadcast, disconnect) are off',
    )
  if (config.wsAuthToken !== undefined && !config.wsAuthRequired)
    log.warn({ event: 'live-door-open' }, 'WS_AUTH_TOKEN is set but not enforced: set WS_AUTH_REQUIRED=true')
  if (config.outboxTopics.length > 0 && !config.wsAuthRequired)
    log.info(
      { event: 'outbox-http-only' },
      'sockets publish no envelopes, since the live door reads no tokens: set WS_AUTH_REQUIRED=true, or use POST /api/outbox',
    )
}

/** The page of the live door, with the series of the older dashboard where they are on. */
function livePages({ metricsAliases, metricsMaxAgeMs }: Config, metrics: Metrics) {
  const older = metricsAliases.filter((program) => program === 'leanvibe')
  return {
    values: () => metrics.live.values(),
    page: shared(metricsMaxAgeMs, async () => {
      const page = await metrics.live.page()
      return older.length === 0 ? page : page + aliasPage(await metrics.page(), older, instance, undefined)
    }),
  }
}
