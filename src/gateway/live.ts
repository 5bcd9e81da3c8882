import { disconnectedBy } from '../contract/codes.ts'
import { liveBus, liveChannel } from '../contract/names.ts'
import { type BusCommand, LiveBus } from '../doors/live/bus.ts'
import { Coordination } from '../doors/live/coordination.ts'
import { LiveDoor } from '../doors/live/door.ts'
import { messageFrame } from '../doors/live/frames.ts'
import { liveRoutes } from '../doors/live/routes.ts'
import { outcomes, readingsOf } from '../doors/live/stats.ts'
import { StatusCache, type SystemHealth } from '../doors/live/status.ts'
import { LiveTopics } from '../doors/live/topics.ts'
import { HEALTHY_MS } from '../http/probes.ts'
import { instance, serialOf } from '../telemetry/log.ts'
import type { DoorParts } from './doors.ts'

export interface LiveWiring extends DoorParts {
  readonly draining: () => boolean
  /** The number of open session sockets of each agent. */
  readonly sessionsByAgent: () => ReadonlyMap<string, number>
  /** What `system_health` answers. */
  readonly health: () => SystemHealth | Promise<SystemHealth>
}

/** The live door, its endpoints and what it is joined to. */
export function liveDoor({ config, core, metrics, log, draining, sessionsByAgent, health }: LiveWiring) {
  const { redis, bindings, delivery, closer } = core
  const topics = new LiveTopics(config.liveTopics, config.liveMaxSubscriptions)
  const sockets = () => [...core.sockets].filter((connection) => connection.door === door)
  const unusable = (topic: string) => {
    metrics.live.counts.unusable++
    metrics.lose('invalid')
    log.warn(
      { event: 'unusable-message', topic },
      'a message from Redis is no JSON object, or not what its channel is for',
    )
  }
  const bus = new LiveBus({
    instance,
    bindings,
    ready: () => redis.readyFor(liveBus()),
    publish: (channel, message) => redis.publish(channel, message),
    execute: (order) => execute(order),
    unusable: () => unusable('bus'),
  })
  if (config.wsAuthToken !== undefined && !config.wsAuthRequired)
    log.warn({ event: 'live-door-open' }, 'WS_AUTH_TOKEN is set and not asked for: WS_AUTH_REQUIRED is not true')
  const coordination = new Coordination(() => outcomes(metrics))
  const door: LiveDoor = new LiveDoor({
    options: {
      maxMessageBytes: config.maxMessageBytes ?? 64 * 1024,
      rate: config.liveRate,
      rateBurst: config.liveRateBurst,
      idleTimeoutMs: config.liveIdleTimeoutMs,
      maxDrops: config.liveMaxDrops,
      compression: config.liveCompression,
      allowedOrigins: config.wsAllowedOrigins,
      token: config.wsAuthRequired ? config.wsAuthToken : undefined,
      refuse: config.liveRefuse,
    },
    topics,
    bindings,
    bus,
    lookUp: new StatusCache({ sessionsByAgent, coordination: () => coordination.metrics(), health }),
    metrics,
    enqueue: (connection, frame) => delivery.enqueue(connection, frame),
    guard: (connection, work) => closer.runGuarded(connection, work),
    unusable,
  })

  function execute(order: BusCommand): number {
    return order.what === 'broadcast' ? broadcast(order) : disconnect(order)
  }

  function broadcast({ topic, type, data, correlationId }: Extract<BusCommand, { what: 'broadcast' }>): number {
    const held = bindings.find(liveChannel(topic))
    const count = held?.members.length ?? 0
    metrics.live.counts.lastFanout = count
    if (held) delivery.fanOut(held, messageFrame({ type, subscription: topic, correlationId }, data))
    return count
  }

  function disconnect({ connectionId, reason }: Extract<BusCommand, { what: 'disconnect' }>): number {
    const serial = serialOf(connectionId)
    const found = sockets().find((connection) => connection.serial === serial)
    if (found === undefined) return 0
    closer.end(found, disconnectedBy(reason))
    return 1
  }

  const readings = () => readingsOf(metrics, door, bindings.of(door), topics)
  metrics.live.register(readings)
  const routes = liveRoutes({
    bus,
    topics,
    sockets,
    held: () => bindings.of(door),
    limits: {
      rate: config.liveRate,
      rateBurst: config.liveRateBurst,
      maxMessageBytes: door.maxMessageBytes,
      maxSubscriptions: config.liveMaxSubscriptions,
      maxDrops: config.liveMaxDrops,
      idleSeconds: config.liveIdleTimeoutMs / 1000,
      authRequired: config.wsAuthRequired,
      originsConfigured: (config.wsAllowedOrigins ?? config.allowedOrigins).length > 0,
    },
    accepted: async () => (await readings()).connections,
    pingRedis: () => redis.ping(HEALTHY_MS),
    draining,
    metrics: config.metricsEnabled ? () => metrics.live.page() : undefined,
  })
  return { door, routes, stop: () => coordination.stop() }
}
