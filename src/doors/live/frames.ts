import { randomUUID } from 'node:crypto'
import { liveErrors } from '../../contract/codes.ts'
import type { ErrorCode, Ping, RequestId, ServerFrame } from '../../contract/live/types.gen.ts'

/** Builds the frames of the live door. Each has a timestamp and a correlation id. */

type Without<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never
/** A frame of the contract, without the fields that every frame has. */
export type Draft = Without<Exclude<ServerFrame, { subscription: unknown }>, 'timestamp' | 'correlation_id'>

/** RFC 3339, UTC. */
export const now = (): string => new Date().toISOString()

export const newCorrelationId = (): string => randomUUID()

/** Builds a frame for one socket. An answer repeats the correlation id of its request, if any. */
export const frameOf = (draft: Draft, correlationId = newCorrelationId()): Buffer =>
  Buffer.from(JSON.stringify({ ...draft, timestamp: now(), correlation_id: correlationId }))

/** The message of an error frame: the text of its code, then the value that caused it. */
export const messageOf = (code: ErrorCode, about = ''): string => liveErrors[code] + (about === '' ? '' : `: ${about}`)

export const errorFrame = (code: ErrorCode, message: string, correlationId?: string, id?: RequestId): Buffer =>
  frameOf({ type: 'error', code, message, ...(id !== undefined && { id }) }, correlationId)

/** The answer to a ping. Only scalars are echoed: an object may be nested too deep. */
export function pongFrame({ client_time: time, correlation_id }: Ping): Buffer {
  const echo =
    time === null || typeof time !== 'object' ? (time as string | number | boolean | null | undefined) : undefined
  return frameOf({ type: 'pong', ...(echo !== undefined && { client_time: echo }) }, correlation_id)
}

/** The fields of a topic's message, apart from its data. */
export interface Label {
  readonly type: string
  readonly subscription: string
  readonly agentId?: string
  readonly correlationId?: string
}

/**
 * Builds a message of a topic. `data` is JSON text and goes into the frame unchanged, so that its
 * numbers keep all their digits.
 */
export function messageFrame({ type, subscription, agentId, correlationId }: Label, data: Buffer): Buffer {
  const agent = agentId === undefined ? '' : `,"agent_id":${JSON.stringify(agentId)}`
  const head = Buffer.from(`{"type":${JSON.stringify(type)},"subscription":"${subscription}","data":`)
  const id = JSON.stringify(correlationId ?? newCorrelationId())
  return Buffer.concat([head, data, Buffer.from(`${agent},"timestamp":"${now()}","correlation_id":${id}}`)])
}

const MAX_SHOWN = 64
const MAX_NAMES = 20

/** Text from a client, truncated for an answer that repeats it. */
export const shown = (text: string): string => (text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text)

/** Names from a client, of which an answer repeats the first 20. */
export function listed(names: readonly string[]): string {
  const more = names.length - MAX_NAMES
  return names.slice(0, MAX_NAMES).map(shown).join(', ') + (more > 0 ? ` and ${more} more` : '')
}
