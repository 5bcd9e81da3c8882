import { isUtf8 } from 'node:buffer'
import { isReservedType } from '../../contract/live/schema.ts'
import { agentOf, liveKind } from '../../contract/names.ts'
import { kindAt, lastOf, type Member, type Members, membersOf, namesOf, stringOf } from '../../platform/json-members.ts'
import { jsonFault } from '../../platform/json-scan.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import { LineSampler } from '../../telemetry/sampler.ts'
import { envelopeFrame } from './envelope.ts'
import { messageFrame } from './frames.ts'
import { updateOf } from './topics.ts'

/** A message of a topic, as a frame. */
export interface Message {
  readonly frame: Buffer
  /** Ids of the connections that receive it; undefined for all that hold the topic. */
  readonly recipients: readonly string[] | undefined
}

/** What a message may cost. */
export interface MessageLimits {
  /** A larger message fits the send buffer of no socket. */
  readonly maxBytes: number
  readonly maxDepth: number
}

const MAX_NAME = 128
/** A list of recipients is parsed, so it is bounded: that many bytes name some 50,000 sockets. */
const MAX_RECIPIENTS_BYTES = 1024 * 1024

const ENVELOPE = namesOf('type', 'data', 'subscription', 'timestamp', 'correlation_id', 'agent_id', 'retained')
const INDEX_EVENT = namesOf('event', 'subscribers')
const ALERTS = namesOf('alerts')

/**
 * Makes the frame of a published message. Returns undefined when the payload is not a JSON object,
 * is larger or nested deeper than the limits, or lacks what its channel requires. No value in it is
 * parsed and written anew: numbers keep all their digits.
 */
export function messageFrom(
  topic: string,
  channel: string,
  published: Buffer,
  { maxBytes, maxDepth }: MessageLimits,
): Message | undefined {
  if (published.length > maxBytes) return undefined
  // A live frame is text. Bytes that are not UTF-8 become U+FFFD, as a JSON parser reads them.
  const payload = isUtf8(published) ? published : Buffer.from(published.toString('utf8'))
  if (jsonFault(payload, maxDepth) !== undefined) return undefined
  switch (liveKind(channel)) {
    case 'system':
      return isObject(payload) ? toAll(messageFrame({ type: 'system_event', subscription: topic }, payload)) : undefined
    case 'agent': {
      const label = { type: 'agent_event', subscription: topic, agentId: nameOf(agentOf(channel)) }
      return isObject(payload) ? toAll(messageFrame(label, payload)) : undefined
    }
    case 'project-index':
      return projectIndex(topic, payload)
    default:
      return ofTopic(topic, payload)
  }
}

/**
 * Checks a message type that an agent or an operator chose. Returns what is wrong with it, or
 * undefined. `data` returns the JSON text of the data; only an alert needs it.
 */
export function typeProblem(type: string, topic: string, data: () => Buffer | undefined): string | undefined {
  if (type === '' || type.length > MAX_NAME) return `must have 1 to ${MAX_NAME} characters`
  if (isReservedType(type)) return 'is reserved for another frame of the contract'
  if (type !== 'critical_alert') return undefined
  if (topic !== 'alerts') return 'is allowed on the topic alerts only'
  return hasAlerts(data()) ? undefined : 'requires data.alerts to be an array'
}

/**
 * Counts and logs messages from Redis that were no message of their topic. The payload is never
 * logged.
 */
export function unusableMessages(metrics: Metrics, log: Logger): (topic: string) => void {
  const lines = new LineSampler()
  return (topic) => {
    metrics.live.counts.unusable++
    metrics.lose('invalid')
    const skipped = lines.take(topic)
    if (skipped === undefined) return
    log.warn(
      { event: 'unusable-message', topic, skipped },
      'a message from Redis is not a JSON object, or not fit for its channel',
    )
  }
}

const toAll = (frame: Buffer): Message => ({ frame, recipients: undefined })

const isObject = (payload: Buffer): boolean => membersOf(payload, []) !== undefined

const valueIn = (payload: Buffer, { valueStart, valueEnd }: Member): Buffer => payload.subarray(valueStart, valueEnd)

function hasAlerts(data: Buffer | undefined): boolean {
  const members = data && membersOf(data, ALERTS)
  const alerts = members && lastOf(members, 'alerts')
  return alerts !== undefined && kindAt(data!, alerts.valueStart) === 'array'
}

function projectIndex(topic: string, payload: Buffer): Message | undefined {
  const members = membersOf(payload, INDEX_EVENT)
  const event = members && lastOf(members, 'event')
  if (members === undefined || event === undefined) return undefined
  const subscribers = recipientsIn(payload, lastOf(members, 'subscribers'))
  if (subscribers === undefined) return undefined
  const frame = messageFrame({ type: 'project_index_event', subscription: topic }, valueIn(payload, event))
  return {
    frame,
    recipients: subscribers.length > 0 ? subscribers.filter((each) => typeof each === 'string') : undefined,
  }
}

/** The list of recipients, empty for all; undefined when it is no list, or too long. */
function recipientsIn(payload: Buffer, list: Member | undefined): unknown[] | undefined {
  if (list === undefined || kindAt(payload, list.valueStart) === 'null') return []
  if (kindAt(payload, list.valueStart) !== 'array') return undefined
  if (list.valueEnd - list.valueStart > MAX_RECIPIENTS_BYTES) return undefined
  return JSON.parse(valueIn(payload, list).toString('utf8')) as unknown[]
}

function ofTopic(topic: string, payload: Buffer): Message | undefined {
  const members = membersOf(payload, ENVELOPE)
  if (members === undefined) return undefined
  const problem = envelopeProblem(topic, payload, members)
  if (problem === 'unusable') return undefined
  if (problem === 'plain') return toAll(messageFrame({ type: updateOf(topic), subscription: topic }, payload))
  return toAll(envelopeFrame(topic, payload, members))
}

/** `plain`: the object is no envelope, and is sent as data of one. */
function envelopeProblem(topic: string, payload: Buffer, members: Members): 'plain' | 'unusable' | undefined {
  const type = stringOf(payload, lastOf(members, 'type'), MAX_NAME)
  if (type === undefined) return 'plain'
  const data = lastOf(members, 'data')
  if (typeProblem(type, topic, () => data && valueIn(payload, data)) === undefined) return undefined
  return type === 'critical_alert' ? 'unusable' : 'plain'
}

/** Channel names arrive as latin1, one character a byte. */
const nameOf = (channel: string): string => Buffer.from(channel, 'latin1').toString('utf8')
