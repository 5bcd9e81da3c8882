import type { Config } from '../config/table.ts'
import { closes } from '../contract/codes.ts'
import { runKey, sessionDown } from '../contract/names.ts'
import type { Checklist } from '../doors/run/checklist.ts'
import { RunDoor } from '../doors/run/door.ts'
import { RunWatches } from '../doors/run/watch.ts'
import { SessionDoor } from '../doors/session/door.ts'
import type { FlowSignal } from '../doors/session/flow.ts'
import { reasonOf } from '../platform/reason.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Core } from './core.ts'

/** The parts of the gateway that a door uses. */
export interface DoorParts {
  readonly config: Config
  readonly core: Core
  readonly metrics: Metrics
  readonly log: Logger
}

/**
 * Builds the session door and joins it to Redis. `flow` is undefined when the flow signal is off.
 */
export function sessionDoor({ config, core, metrics }: DoorParts, flow: FlowSignal | undefined): SessionDoor {
  const session = new SessionDoor({
    options: config,
    upstream: core.redis.upstream,
    metrics,
    enqueue: (connection, frame) => core.delivery.enqueue(connection, frame),
    flow,
  })
  core.onGap.push((from, to, affects) => {
    for (const connection of core.sockets)
      if (connection.door === session && affects(sessionDown(connection.subject))) session.gap(connection, from, to)
  })
  return session
}

/** Builds the run door and its watches. `database` is the Redis database of the run hashes. */
export function runDoor({ config, core, metrics, log }: DoorParts, checklist: Checklist, database: number): RunDoor {
  const watches = new RunWatches({
    options: config,
    checklist,
    read: (runId) => core.redis.hashes.read(runKey(runId)),
    changed: (topic, frame) => core.delivery.fanOut(topic, frame),
    gaveUp: (topic) => {
      for (const member of topic.members.slice()) core.closer.end(member, closes.redisGone)
    },
    fault: (runId, error) => {
      metrics.error('run')
      log.warn({ event: 'run-fault', run: runId, reason: reasonOf(error) }, 'a run could not be read from Redis')
    },
  })
  core.onReady.push(() => watches.refresh())
  return new RunDoor({
    options: { ...config, database },
    metrics,
    watches,
    enqueue: (connection, frame) => core.delivery.enqueue(connection, frame),
    unparseable: (connection) =>
      log.connection(connection).debug({ event: 'unparseable' }, 'client frame is not JSON and was ignored'),
  })
}
