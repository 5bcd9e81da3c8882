import type { Bindings, Topic } from '../../connection/bind.ts'
import type { Connection } from '../../connection/connection.ts'
import { type Close, disconnectedBy } from '../../contract/codes.ts'
import { isTopic, liveChannel } from '../../contract/names.ts'
import { revocationIn, type TokenRevocation } from '../../contract/revocations.ts'
import { jsonFault, MAX_JSON_DEPTH } from '../../platform/json-scan.ts'
import { type Selection, selectionIn } from '../../platform/selection.ts'
import type { LiveMetrics } from '../../telemetry/live.ts'
import { serialOf } from '../../telemetry/log.ts'
import { messageFrame } from './frames.ts'
import { typeProblem } from './messages.ts'
import { heard } from './retained.ts'

export interface Broadcast {
  readonly what: 'broadcast'
  readonly topic: string
  readonly type: string
  /** JSON text. */
  readonly data: string
  readonly correlationId: string
}

export interface Disconnect {
  readonly what: 'disconnect'
  readonly connectionId: string
  /** The words of the operator; may be empty. */
  readonly reason: string
}

/** Closes all sockets of a session, a run or an address, at every door. */
interface DisconnectAll extends Selection {
  readonly what: 'disconnect-all'
}

/** Closes the sockets of JWTs that are revoked, at every door. */
interface Revoke extends TokenRevocation {
  readonly what: 'revoke'
}

/** A command of one instance to all instances. */
export type BusCommand = Broadcast | Disconnect | DisconnectAll | Revoke

const MAX_ID = 128
/** Characters of an operator's reason; a close frame shows the first 123 bytes. */
export const MAX_REASON = 1024

/**
 * Returns the command in a value from Redis, or undefined when no instance would send that value.
 */
export function commandIn(value: unknown): BusCommand | undefined {
  const fields = Object(value) as Record<string, unknown>
  const { what, topic, type, data, correlationId, connectionId, reason } = fields
  if (what === 'disconnect-all') {
    const selection = selectionIn(fields.by, fields.value)
    return selection && { what, ...selection }
  }
  if (what === 'revoke') {
    const revocation = revocationIn(fields)
    return revocation && { what, ...revocation }
  }
  if (what === 'disconnect') {
    const isSound = isText(connectionId) && connectionId.length <= MAX_ID && isText(reason)
    return isSound && reason.length <= MAX_REASON ? { what, connectionId, reason } : undefined
  }
  if (what !== 'broadcast' || !isText(topic) || !isText(type) || !isText(data) || !isText(correlationId))
    return undefined
  const isSound = isTopic(topic) && correlationId.length <= MAX_ID && isMessage(topic, type, data)
  return isSound ? { what, topic, type, data, correlationId } : undefined
}

const isText = (value: unknown): value is string => typeof value === 'string'

/**
 * The data goes into a frame unchanged, so it must be JSON. The instance that sends the command has
 * checked the depth against its own limit.
 */
function isMessage(topic: string, type: string, data: string): boolean {
  const bytes = Buffer.from(data)
  return jsonFault(bytes, MAX_JSON_DEPTH) === undefined && typeProblem(type, topic, () => bytes) === undefined
}

export interface ExecutorParts {
  readonly bindings: Bindings
  readonly live: LiveMetrics
  /** The open sockets of the live door. */
  readonly sockets: () => Iterable<Connection>
  readonly fanOut: (topic: Topic, frame: Buffer) => void
  readonly end: (connection: Connection, close: Close) => void
  /** Closes the sockets of all doors that the selection names, and returns their number. */
  readonly disconnectAll: (selection: Selection) => number
  /** Closes the sockets of all doors whose JWT is revoked by it, and returns their number. */
  readonly revoke: (revocation: TokenRevocation) => number
}

/** Executes the commands of the bus on the sockets of this instance. */
export class CommandExecutor {
  readonly #parts: ExecutorParts

  constructor(parts: ExecutorParts) {
    this.#parts = parts
  }

  /** Returns the number of sockets that the command concerned. */
  execute(command: BusCommand): number {
    if (command.what === 'disconnect-all') return this.#parts.disconnectAll(command)
    if (command.what === 'revoke') return this.#parts.revoke(command)
    return command.what === 'broadcast' ? this.#broadcast(command) : this.#disconnect(command)
  }

  #broadcast({ topic: name, type, data, correlationId }: Broadcast): number {
    const { bindings, live, fanOut } = this.#parts
    const topic = bindings.find(liveChannel(name))
    const reached = topic?.members.length ?? 0
    live.counts.lastFanout = reached
    if (topic === undefined) return 0
    const frame = messageFrame({ type, subscription: name, correlationId }, Buffer.from(data))
    live.types?.sent(frame, reached)
    heard(topic)
    fanOut(topic, frame)
    return reached
  }

  #disconnect({ connectionId, reason }: Disconnect): number {
    const serial = serialOf(connectionId)
    for (const connection of this.#parts.sockets()) {
      if (connection.serial !== serial) continue
      this.#parts.end(connection, disconnectedBy(reason))
      return 1
    }
    return 0
  }
}
