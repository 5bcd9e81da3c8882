import { isReservedType } from '../../contract/live/schema.ts'
import { agentOf, liveKind } from '../../contract/names.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import { messageFrame, newCorrelationId, now } from './frames.ts'

/** A message of a topic, as a frame. */
export interface Message {
  readonly frame: Buffer
  /** Ids of the connections that receive it; undefined for all that hold the topic. */
  readonly recipients: readonly string[] | undefined
}

type Fields = Readonly<Record<string, unknown>>

const TIMESTAMP = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?Z$/
const MAX_NAME = 128

/**
 * Makes the frame of a published message. Returns undefined when the payload is not a JSON object,
 * or lacks what its channel requires.
 */
export function messageFrom(topic: string, channel: string, payload: Buffer): Message | undefined {
  const text = payload.toString('utf8')
  const value = objectIn(text)
  if (value === undefined) return undefined
  switch (liveKind(channel)) {
    case 'system':
      return toAll(messageFrame({ type: 'system_event', subscription: topic }, text))
    case 'agent':
      return toAll(messageFrame({ type: 'agent_event', subscription: topic, agentId: nameOf(agentOf(channel)) }, text))
    case 'project-index':
      return projectIndex(topic, value)
    default:
      return published(topic, text, value)
  }
}

/**
 * Checks a message type that an agent or an operator chose. Returns what is wrong with it, or
 * undefined.
 */
export function typeProblem(type: string, topic: string, data: unknown): string | undefined {
  if (type === '' || type.length > MAX_NAME) return `must have 1 to ${MAX_NAME} characters`
  if (isReservedType(type)) return 'is reserved for another frame of the contract'
  if (type !== 'critical_alert') return undefined
  if (topic !== 'alerts') return 'is allowed on the topic alerts only'
  return Array.isArray((data as Fields | null)?.alerts) ? undefined : 'requires data.alerts to be an array'
}

/**
 * Counts and logs messages from Redis that were no message of their topic. The payload is never
 * logged.
 */
export function unusableMessages(metrics: Metrics, log: Logger): (topic: string) => void {
  return (topic) => {
    metrics.live.counts.unusable++
    metrics.lose('invalid')
    log.warn(
      { event: 'unusable-message', topic },
      'a message from Redis is not a JSON object, or not fit for its channel',
    )
  }
}

const toAll = (frame: Buffer): Message => ({ frame, recipients: undefined })

function projectIndex(topic: string, { event, subscribers: given }: Fields): Message | undefined {
  const subscribers = given ?? []
  if (event === undefined || !Array.isArray(subscribers)) return undefined
  const data = written(event)
  if (data === undefined) return undefined
  const frame = messageFrame({ type: 'project_index_event', subscription: topic }, data)
  return {
    frame,
    recipients: subscribers.length > 0 ? subscribers.filter((each) => typeof each === 'string') : undefined,
  }
}

function published(topic: string, text: string, value: Fields): Message | undefined {
  const { type, data } = value
  const problem = typeof type === 'string' ? typeProblem(type, topic, data) : 'is not a string'
  if (type === 'critical_alert' && problem !== undefined) return undefined
  if (problem !== undefined) return toAll(messageFrame({ type: `${topic}_update`, subscription: topic }, text))
  const { agent_id: agentId, ...rest } = value
  const frame = written({
    ...rest,
    // Some agents send a number; the contract has a string.
    ...((typeof agentId === 'string' || typeof agentId === 'number') && { agent_id: String(agentId) }),
    subscription: topic,
    data: data ?? null,
    timestamp: typeof value.timestamp === 'string' && TIMESTAMP.test(value.timestamp) ? value.timestamp : now(),
    correlation_id: isName(value.correlation_id) ? value.correlation_id : newCorrelationId(),
  })
  return frame === undefined ? undefined : toAll(Buffer.from(frame))
}

/** Channel names arrive as latin1, one character a byte. */
const nameOf = (channel: string): string => Buffer.from(channel, 'latin1').toString('utf8')

const isName = (value: unknown): boolean => typeof value === 'string' && value !== '' && value.length <= MAX_NAME

function objectIn(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined
  } catch {
    return undefined
  }
}

/** JSON text, or undefined for a value that is nested too deep for JSON.stringify. */
function written(value: unknown): string | undefined {
  try {
    return JSON.stringify(value)
  } catch {
    return undefined
  }
}
