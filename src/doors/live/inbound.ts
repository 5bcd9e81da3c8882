import type { ValidateFunction } from 'ajv'
import * as frames from '../../contract/live/rules.gen.ts'
import { type Validator, validatorOf } from '../../contract/live/schema.ts'
import type { ClientFrame, ErrorCode, RequestId } from '../../contract/live/types.gen.ts'
import { jsonFault } from '../../platform/json-scan.ts'
import { messageOf, shown } from './frames.ts'
import { takeData } from './published-data.ts'

/**
 * The result of parsing a frame of a client: a frame of the contract, or the error to answer with.
 */
export type ParsedFrame =
  | {
      readonly kind: 'frame'
      readonly frame: ClientFrame
      /** The text of `data` in the envelope of a publish frame. */
      readonly data: string | undefined
    }
  | FrameError

interface FrameError {
  readonly kind: 'error'
  readonly code: ErrorCode
  readonly message: string
  /** From the frame, where it has them. */
  readonly id: RequestId | undefined
  readonly correlationId: string | undefined
}

/** The code that answers a frame of an unknown type. */
type UnknownType = Extract<ErrorCode, 'unknown-type' | 'protocol-violation'>

type Fields = Readonly<Record<string, unknown>>

/**
 * For each type of frame: the validators of the dialect with a list, and of the one with a topic.
 */
const VALIDATORS: Readonly<Record<string, Readonly<Record<'list' | 'topic', Validator>>>> = {
  ping: both(frames.Ping, frames.Ping),
  subscribe: both(frames.SubscribeList, frames.SubscribeTopic),
  unsubscribe: both(frames.UnsubscribeList, frames.UnsubscribeTopic),
  request_data: both(frames.DataRequest, frames.DataRequest),
  auth: both(frames.Auth, frames.Auth),
  publish: both(frames.PublishRequest, frames.PublishRequest),
}

function both(list: ValidateFunction, topic: ValidateFunction) {
  return { list: validatorOf(list), topic: validatorOf(topic) }
}

/** Parses a text frame. It never throws, and keeps no reference to `bytes`. */
export function parseClientFrame(
  bytes: Buffer,
  maxDepth: number,
  unknownType: UnknownType = 'unknown-type',
): ParsedFrame {
  const fault = jsonFault(bytes, maxDepth)
  if (fault === 'too-deep') return violation(`nested deeper than ${maxDepth} levels (JSON_MAX_DEPTH)`, {})
  if (fault !== undefined) return { ...violation('', {}), message: 'Invalid JSON' }
  const value: unknown = JSON.parse(bytes.toString('utf8'))
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return violation('must be object', {})
  const fields = value as Fields
  const { type } = fields
  if (typeof type !== 'string') return violation(`type ${type === undefined ? 'is missing' : 'must be string'}`, fields)
  if (!Object.hasOwn(VALIDATORS, type)) return { ...errorOf('unknown-type', shown(type), fields), code: unknownType }
  const dialect = fields.topic !== undefined && fields.subscriptions === undefined ? 'topic' : 'list'
  const data = type === 'publish' ? takeData(fields, bytes) : undefined
  const problem = VALIDATORS[type]![dialect](fields) ?? tooDeep(type, bytes)
  if (problem !== undefined) return violation(problem, fields)
  return { kind: 'frame', frame: fields as unknown as ClientFrame, data }
}

/** As deep as the body of `POST /api/outbox` may be. */
const MAX_PUBLISH_DEPTH = 32

const tooDeep = (type: string, bytes: Buffer): string | undefined =>
  type === 'publish' && jsonFault(bytes, MAX_PUBLISH_DEPTH) !== undefined
    ? `nested deeper than ${MAX_PUBLISH_DEPTH} levels`
    : undefined

const violation = (about: string, fields: Fields): FrameError => errorOf('protocol-violation', about, fields)

const MAX_ECHO = 128

/** Repeats the ids of the frame as far as they can stand in an answer. */
function errorOf(code: ErrorCode, about: string, fields: Fields): FrameError {
  const { id, envelope } = fields
  const { correlation_id: correlationId } = envelope === undefined ? fields : (Object(envelope) as Fields)
  const isName = (value: unknown): value is string => typeof value === 'string' && value.length <= MAX_ECHO
  return {
    kind: 'error',
    code,
    message: messageOf(code, about),
    id: isName(id) || Number.isInteger(id) ? (id as RequestId) : undefined,
    correlationId: isName(correlationId) && correlationId !== '' ? correlationId : undefined,
  }
}
