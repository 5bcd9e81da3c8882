import type { Config } from './config.ts'
import type { Bindings } from './connection/bind.ts'
import type { Connection } from './connection/connection.ts'
import type { Delivery } from './connection/deliver.ts'
import { closes } from './contract/codes.ts'
import { liveChannel } from './contract/topics.ts'
import { LiveDoor } from './doors/live.ts'
import { LiveBus, type Order } from './live/bus.ts'
import { Coordination } from './live/coordination.ts'
import { LiveData, type SystemHealth } from './live/data.ts'
import { messageFrame } from './live/frames.ts'
import { outcomes, readingsOf } from './live/stats.ts'
import { LiveTopics } from './live/topics.ts'
import { instance, type Logger, serialOf } from './log.ts'
import type { Metrics } from './metrics.ts'

export interface LivePartsOfServer {
  readonly config: Config
  readonly bindings: Bindings
  readonly delivery: Delivery
  readonly metrics: Metrics
  readonly log: Logger
  /** Every open socket, whatever its door. */
  readonly open: () => ReadonlySet<Connection>
  readonly end: (connection: Connection, close: { code: number; reason: string }) => void
  readonly publish: (channel: string, message: string) => Promise<number>
  readonly health: () => SystemHealth | Promise<SystemHealth>
}

/** A reason of close may have 123 bytes (RFC 6455, section 5.5). */
const MAX_REASON_BYTES = 123

/** Composes the live door: part of the composition root. */
export function composeLive(parts: LivePartsOfServer) {
  const { config, bindings, delivery, metrics, log, open, publish } = parts
  const topics = new LiveTopics(config.liveTopics, config.liveMaxSubscriptions)
  const sockets = () => [...open()].filter((connection) => connection.door === door)
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
    publish,
    carryOut: (order) => carryOut(order),
    unusable: () => unusable('bus'),
  })
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
    lookUp: new LiveData({ open, coordination: () => coordination.metrics(), health: parts.health }),
    metrics,
    enqueue: (connection, frame) => delivery.enqueue(connection, frame),
    unusable,
  })

  function carryOut(order: Order): number {
    return order.what === 'broadcast' ? broadcast(order) : disconnect(order)
  }

  function broadcast({ topic, type, data, correlationId }: Extract<Order, { what: 'broadcast' }>): number {
    const held = bindings.find(liveChannel(topic))
    const count = held?.members.length ?? 0
    metrics.live.counts.lastFanout = count
    if (held) delivery.fanOut(held, messageFrame({ type, subscription: topic, correlationId }, data))
    return count
  }

  function disconnect({ connectionId, reason }: Extract<Order, { what: 'disconnect' }>): number {
    const serial = serialOf(connectionId)
    const found = sockets().find((connection) => connection.serial === serial)
    if (found === undefined) return 0
    parts.end(found, { code: closes.disconnected.code, reason: cut(reason) || closes.disconnected.reason })
    return 1
  }

  metrics.live.read = () => readingsOf(metrics, door, sockets(), topics)
  return { door, bus, topics, sockets, stop: () => coordination.stop() }
}

/** What can be told at once of the gateway and what it depends on. */
export function lightHealth(redisReady: boolean, draining: boolean): SystemHealth {
  const overall_status = !redisReady ? 'unhealthy' : draining ? 'degraded' : 'healthy'
  const components = { redis: redisReady ? 'healthy' : 'unhealthy', gateway: draining ? 'draining' : 'healthy' }
  return { overall_status, components }
}

/** Text of at most so many bytes, cut between characters. */
function cut(text: string): string {
  const bytes = Buffer.from(text)
  if (bytes.length <= MAX_REASON_BYTES) return text
  let end = MAX_REASON_BYTES
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--
  return bytes.toString('utf8', 0, end)
}
