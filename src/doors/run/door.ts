import type { Config } from '../../config/table.ts'
import type { Rights } from '../../connection/auth.ts'
import type { Connection } from '../../connection/connection.ts'
import type { Admission, Door } from '../../connection/door.ts'
import { endText, newToken, type Renewals } from '../../connection/renewal.ts'
import type { Heartbeat } from '../../connection/times.ts'
import { type Close, closeFor, frameErrors, type Refusal, refusals } from '../../contract/codes.ts'
import { isOwnSegment, isRunId, runAuth, runEvents } from '../../contract/names.ts'
import { notFoundAt } from '../../http/hints.ts'
import { PathPattern } from '../../http/path.ts'
import { jsonFault } from '../../platform/json-scan.ts'
import type { DoorStats, Metrics } from '../../telemetry/metrics.ts'
import type { RunWatches } from './watch.ts'

interface RunOptions
  extends Pick<
    Config,
    | 'maxMessageBytes'
    | 'jsonMaxDepth'
    | 'runAuth'
    | 'runRefuse'
    | 'runKeyPrefix'
    | 'runPath'
    | 'runPingIntervalMs'
    | 'runPongTimeoutMs'
  > {
  /** The database of the run hashes, which is part of the names of their keyspace channels. */
  readonly database: number
}

const DEFAULT_MAX_MESSAGE_BYTES = 64 * 1024

export interface RunParts {
  readonly options: RunOptions
  readonly metrics: Metrics
  readonly watches: RunWatches
  readonly enqueue: (connection: Connection, frame: Buffer) => void
  /** Undefined: no key of JWTs is configured. */
  readonly renewals: Renewals | undefined
  /** Called for a client frame that is not JSON. The frame is ignored. */
  readonly unparseable: (connection: Connection) => void
}

const frameOf = (value: object): Buffer => Buffer.from(JSON.stringify(value))

const REJECTED = frameOf({ type: 'error', code: 'auth-rejected', message: frameErrors['auth-rejected'] })
const okFrame = (end: number): Buffer => frameOf({ type: 'auth_ok', expires_at: endText(end) })

/** Client frames are an init and a pong now and then. */
const RATE = { intervalMs: 50, burst: 40 }

/**
 * `GET /{runId}`, below `RUN_PATH`: sends the checklist of a run whenever it changes. A client
 * frame is only a sign of life, but for the new JWT of a client that came with one.
 */
export class RunDoor implements Door {
  readonly name = 'run'
  readonly subjectName = 'run'
  readonly path: PathPattern
  readonly rate = RATE
  readonly idleTimeout = undefined
  readonly maxMessageBytes: number
  readonly heartbeat: Heartbeat
  readonly stats: DoorStats
  readonly #parts: RunParts
  /** Answers an id that does not begin with `RUN_KEY_PREFIX`, so that its key is not read. */
  readonly #foreign: Refusal

  constructor(parts: RunParts) {
    const { options, metrics } = parts
    this.#parts = parts
    const message = `A run id must begin with ${options.runKeyPrefix} (RUN_KEY_PREFIX).`
    this.#foreign = { ...refusals['malformed-id'], message }
    this.path = options.runPath === '/' ? new PathPattern('/:runId') : new PathPattern(`${options.runPath}:runId`)
    this.stats = metrics.door(this.name)
    this.maxMessageBytes = options.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES
    this.heartbeat = {
      intervalMs: options.runPingIntervalMs,
      timeoutMs: options.runPongTimeoutMs,
      frame: Buffer.from('{"type":"ping"}'),
    }
  }

  admit([runId = '']: readonly string[]): Admission | Refusal {
    const { options, watches } = this.#parts
    if (!isRunId(runId)) return refusals['malformed-id']
    if (options.runPath === '/' && isOwnSegment(runId)) return notFoundAt(`/${runId}`)
    if (!runId.startsWith(options.runKeyPrefix)) return this.#foreign
    const events = runEvents(options.database, runId)
    return {
      kind: 'admission',
      subject: runId,
      tokenKey: options.runAuth === 'bearer' ? runAuth(runId) : undefined,
      source: watches,
      redisChannel: events,
      topics: [[events]],
      topicsRequired: true,
    }
  }

  grants(admission: Admission, { runs }: Rights): Admission | undefined {
    return runs.includes(admission.subject) ? admission : undefined
  }

  refusalAsClose(refusal: Refusal): Close | undefined {
    return this.#parts.options.runRefuse === 'close' ? closeFor(refusal) : undefined
  }

  /**
   * Sends the current checklist, unless it changed during the upgrade: then the change was the
   * first frame already.
   */
  opened(connection: Connection): void {
    if (connection.framesOut > 0) return
    for (const topic of connection.topics) {
      const frame = this.#parts.watches.frame(topic)
      if (frame) this.#parts.enqueue(connection, frame)
    }
  }

  receive(connection: Connection, frame: Buffer): void {
    if (jsonFault(frame, this.#parts.options.jsonMaxDepth) !== undefined) return this.#parts.unparseable(connection)
    const token = connection.rights && newToken(frame, 'auth')
    if (token !== undefined) this.#renew(connection, token)
  }

  #renew(connection: Connection, token: string): void {
    const allows = ({ runs }: Rights) => runs.includes(connection.subject)
    const answer = (end: number | undefined) =>
      this.#parts.enqueue(connection, end === undefined ? REJECTED : okFrame(end))
    this.#parts.renewals?.renew(connection, token, allows, answer)
  }

  expiring(expiresAt: number, leftMs: number): Buffer {
    return frameOf({ type: 'auth_expiring', expires_at: new Date(expiresAt), in_ms: leftMs })
  }

  /** Sends nothing: the existing page knows no error frames. */
  rateLimited(): void {}

  goodbye(): Buffer {
    return Buffer.from('{"type":"hangup"}')
  }
}
