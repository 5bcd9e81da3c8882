import type { Grade, NumberGapReason } from '../contract/reasons.ts'
import type { Start } from './position.ts'

/** JSON writes dates as RFC 3339 in UTC. */
export const frameOf = (value: object): Buffer => Buffer.from(JSON.stringify(value))

export interface Position extends Start {
  /** Undefined: the session has no log. */
  readonly epoch: string | undefined
  readonly oldest?: number | undefined
  /** How many messages follow at once. */
  readonly replay?: number | undefined
  /** The stream is complete with the newest message. */
  readonly closed?: boolean | undefined
  /** The largest frame that the client may send, in bytes. */
  readonly maxInboundBytes?: number
}

/** Makes the frame that says from where the numbers that follow count. */
export function positionFrame(position: Position): Buffer {
  const { epoch, offset, oldest, replay, recovered, reason, closed } = position
  const grade: Grade = epoch === undefined ? 'none' : 'exact'
  const log = epoch === undefined ? {} : { epoch, offset }
  const rest = epoch === undefined ? {} : { replay, oldest, closed }
  const limits = { max_inbound_message_bytes: position.maxInboundBytes }
  return frameOf({ type: 'control', command: 'position', grade, ...log, recovered, reason, ...rest, ...limits })
}

/** Makes the frame that says which numbers are missing. Both ends are missing, too. */
export const gapFrame = (from: number, to: number, reason: NumberGapReason): Buffer =>
  frameOf({ type: 'control', command: 'gap', from, to, reason })

/** Makes the frame that says that messages without a number were dropped: the client was slow. */
export const droppedFrame = (): Buffer => frameOf({ type: 'control', command: 'gap', reason: 'slow_client' })

/** Makes the answer to a numbered client frame. */
export const ackFrame = (number: number, outcome: { receivers: number } | { error: string }): Buffer =>
  frameOf({ type: 'control', command: 'ack', n: number, ...outcome })

/** Makes the frame with a resume ticket. */
export const ticketFrame = (ticket: string, expiresInMs: number): Buffer =>
  frameOf({ type: 'control', command: 'ticket', ticket, expires_in_ms: expiresInMs })
