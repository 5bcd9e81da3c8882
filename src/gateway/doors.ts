import type { Config } from '../config/table.ts'
import type { JwtChecks } from '../connection/auth.ts'
import type { Connection } from '../connection/connection.ts'
import { closes } from '../contract/codes.ts'
import { runKey } from '../contract/names.ts'
import type { Checklist } from '../doors/run/checklist.ts'
import { RunDoor } from '../doors/run/door.ts'
import { RunWatches } from '../doors/run/watch.ts'
import { SessionDoor } from '../doors/session/door.ts'
import { FlowSignal } from '../doors/session/flow.ts'
import { readerOf } from '../doors/session/state.ts'
import { reasonOf } from '../platform/reason.ts'
import { SessionLibrary } from '../redis/session-library.ts'
import { SessionLogs } from '../sessions/logs.ts'
import type { ResumeTickets } from '../sessions/resume-tickets.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Core } from './core.ts'
import { type SessionStreams, sessionStreams } from './streams.ts'
import { resumeTickets } from './tickets.ts'

/** How long an agent that was away finds what its client has cancelled. */
const CANCEL_MS = 600_000

/** The parts of the gateway that a door uses. */
export interface DoorParts {
  readonly config: Config
  readonly core: Core
  readonly metrics: Metrics
  readonly log: Logger
}

/** Builds the session door with its logs and its flow signal, and joins them to Redis. */
export function sessionDoor(
  { config, core, metrics, log }: DoorParts,
  jwts: JwtChecks | undefined,
): {
  door: SessionDoor
  /** Undefined: HTTP_STREAMS is off. */
  streams: SessionStreams | undefined
  tickets: ResumeTickets | undefined
  stop: () => void
  /** Resolves when no write of the flow signal is in flight. */
  settled: () => Promise<void>
} {
  const flow = config.sessionFlowSignal ? new FlowSignal(core.redis.flow) : undefined
  const logs: SessionLogs = new SessionLogs({
    log: core.redis.sessionLog,
    out: core.delivery,
    readerOf,
    topics: () => core.bindings.of(door),
    ended: (connection) => door.streamEnded(connection),
    pageMessages: config.sessionResumePage,
    maxMessageBytes: config.maxDownMessageBytes,
    metrics,
    logger: log,
  })
  const cancel = (sessionId: string, run: string) => core.redis.sessionLog.cancel(sessionId, run, CANCEL_MS)
  const resume = resumeTickets({ config, core, metrics, log })
  const door: SessionDoor = new SessionDoor({
    options: config,
    upstream: core.redis.upstream,
    metrics,
    enqueue: (connection, frame) => core.delivery.enqueue(connection, frame),
    unusable: (connection, bytes) => core.receiver.unusable(connection, bytes),
    guard: (connection, work) => core.closer.runGuarded(connection, work),
    flow,
    logs,
    tickets: resume?.tickets,
    renewals: core.renewals,
    cancel,
  })
  const library = new SessionLibrary({
    install: config.sessionLogInstall ?? config.nodeEnv !== 'production',
    everyNode: (args) => core.redis.everyNode(args),
    log,
  })
  core.onReady.push(() => {
    flow?.retry()
    logs.retry()
    void library.check()
  })
  core.onGap.push((from, to, affects) => {
    const uninformed: Connection[] = []
    for (const topic of core.bindings.of(door)) {
      if (!affects(topic.channels[0]!)) continue
      const isLogged = logs.doubt(topic)
      for (const member of topic.members) if (!isLogged || !readerOf(member)) uninformed.push(member)
    }
    door.gaps.say(uninformed, from, to)
  })
  const stop = () => {
    flow?.stop()
    logs.stop()
    resume?.stop()
  }
  const streams = config.httpStreams
    ? sessionStreams({ config, core, metrics }, door, resume?.tickets, jwts, cancel)
    : undefined
  return { door, streams, tickets: resume?.tickets, stop, settled: async () => flow?.settled() }
}

/** Builds the run door and its watches. `database` is the Redis database of the run hashes. */
export function runDoor({ config, core, metrics, log }: DoorParts, checklist: Checklist, database: number): RunDoor {
  const watches = new RunWatches({
    options: config,
    checklist,
    read: (runId) => core.redis.hashes.read(runKey(runId)),
    changed: (topic, frame) => core.delivery.fanOut(topic, frame),
    gaveUp: (topic) => core.closer.endMembers(topic, closes.redisGone),
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
    renewals: core.renewals,
    unparseable: (connection) =>
      log.connection(connection).debug({ event: 'unparseable' }, 'client frame is not JSON and was ignored'),
  })
}
