import type { ValidateFunction } from 'ajv'
import * as frames from '../../contract/live/rules.gen.ts'
import { type FrameRule, ruleOf } from '../../contract/live/schema.ts'
import type { ClientFrame, ErrorCode, RequestId } from '../../contract/live/types.gen.ts'
import { messageOf, shown } from './frames.ts'

/** What a frame of a client came to: one of the contract, or why it is none. */
export type Inbound =
  | { readonly frame: ClientFrame }
  | {
      readonly code: ErrorCode
      readonly message: string
      readonly id: RequestId | undefined
      readonly correlationId: string | undefined
    }

const RULES: Readonly<Record<string, Readonly<Record<'list' | 'topic', FrameRule>>>> = {
  ping: both(frames.Ping, frames.Ping),
  subscribe: both(frames.SubscribeList, frames.SubscribeTopic),
  unsubscribe: both(frames.UnsubscribeList, frames.UnsubscribeTopic),
  request_data: both(frames.DataRequest, frames.DataRequest),
}

function both(list: ValidateFunction, topic: ValidateFunction) {
  return { list: ruleOf(list), topic: ruleOf(topic) }
}

/** Reads a text frame. Whatever it holds, this returns; nothing of it is kept. */
export function read(bytes: Buffer): Inbound {
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch {
    return { ...wrong('', {}), message: 'Invalid JSON' }
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return wrong('must be object', {})
  const fields = value as Readonly<Record<string, unknown>>
  const { type } = fields
  if (typeof type !== 'string') return wrong(`type ${type === undefined ? 'is missing' : 'must be string'}`, fields)
  if (!Object.hasOwn(RULES, type))
    return { code: 'unknown-type', message: messageOf('unknown-type', shown(type)), ...echoed(fields) }
  const dialect = fields.topic !== undefined && fields.subscriptions === undefined ? 'topic' : 'list'
  const problem = RULES[type]![dialect](fields)
  return problem === undefined ? { frame: fields as unknown as ClientFrame } : wrong(problem, fields)
}

const wrong = (about: string, fields: Readonly<Record<string, unknown>>) =>
  ({ code: 'protocol-violation', message: messageOf('protocol-violation', about), ...echoed(fields) }) as const

const MAX_ECHO = 128

/** What an error repeats, as far as it can stand in a frame. */
function echoed({ id, correlation_id: correlationId }: Readonly<Record<string, unknown>>) {
  const isName = (value: unknown): value is string => typeof value === 'string' && value.length <= MAX_ECHO
  return {
    id: isName(id) || Number.isInteger(id) ? (id as RequestId) : undefined,
    correlationId: isName(correlationId) && correlationId !== '' ? correlationId : undefined,
  }
}
