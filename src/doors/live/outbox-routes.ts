import { clockMs } from '../../connection/times.ts'
import type { Refusal } from '../../contract/codes.ts'
import * as frames from '../../contract/live/rules.gen.ts'
import { validatorOf } from '../../contract/live/schema.ts'
import type { ErrorCode, PublishRequest } from '../../contract/live/types.gen.ts'
import { BadRequest, parseJson } from '../../http/body.ts'
import { refused } from '../../http/refuse.ts'
import { json } from '../../http/response.ts'
import type { ApiRequest, Route } from '../../http/routes.ts'
import { elementsOf } from '../../platform/json-members.ts'
import { KeyedRate, type Rate } from '../../platform/rate.ts'
import { messageOf, now } from './frames.ts'
import { takeData } from './published-data.ts'
import type { Author, Publisher } from './publisher.ts'

export interface OutboxRouteParts {
  readonly publisher: Publisher
  /** The author of a request, or the refusal of one that may not publish. */
  readonly authorOf: (request: ApiRequest) => Promise<Author | Refusal>
  /** Envelopes of one subject. */
  readonly rate: Rate
  /** For pages of other origins; undefined for one that is not allowed. */
  readonly cors: NonNullable<Route['cors']>
}

/** Envelopes in one request. */
const MAX_ENVELOPES = 100
const MAX_BODY_BYTES = 256 * 1024
/** Of an id that an answer repeats. */
const MAX_ECHO = 128

type Item = Readonly<Record<string, unknown>>
type Result = Readonly<Record<string, unknown>>

const problemIn = validatorOf(frames.PublishRequest)

/** `POST /api/outbox`: publishes a list of envelopes, each once, and answers with a list. */
export function outboxRoute({ publisher, authorOf, rate, cors }: OutboxRouteParts): Route {
  const rates = new KeyedRate(rate)
  const one = async (author: Author, item: Item, text: Buffer): Promise<Result> => {
    const request = { ...item, type: 'publish' } as unknown as PublishRequest
    const { correlation_id: id } = Object(item.envelope) as Item
    const correlation_id = typeof id === 'string' ? id.slice(0, MAX_ECHO) : undefined
    const failed = (code: ErrorCode, about: string) =>
      ({ type: 'error', correlation_id, code, message: messageOf(code, about) }) as const
    if (!rates.take(author.subject ?? '', clockMs())) return failed('rate-limited', '')
    const data = takeData(request, text)
    const problem = problemIn(request)
    if (problem !== undefined) return failed('protocol-violation', problem)
    const answer = await publisher.publish(author, { ...request, data })
    if ('code' in answer) return failed(answer.code, answer.about)
    return { type: 'published', correlation_id, ...answer }
  }
  return {
    method: 'POST',
    path: '/api/outbox',
    cors,
    maxBodyBytes: MAX_BODY_BYTES,
    answer: async (request) => {
      const author = await authorOf(request)
      if ('kind' in author) return refused(author)
      rates.sweep(clockMs())
      const list = parseJson(request)
      if (!Array.isArray(list) || list.length > MAX_ENVELOPES)
        throw new BadRequest(`The body must be a list of at most ${MAX_ENVELOPES} envelopes, each with its topic.`)
      const texts = elementsOf(request.body)!
      const results = await Promise.all(list.map((item, i) => one(author, Object(item) as Item, texts[i]!)))
      return json('200 OK', { results, server_time: now() })
    },
  }
}
