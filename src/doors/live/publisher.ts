import type { ErrorCode, Published, PublishRequest } from '../../contract/live/types.gen.ts'
import { isTopic } from '../../contract/names.ts'
import { within } from '../../platform/deadline.ts'
import { reasonOf } from '../../platform/reason.ts'
import type { LiveCounts } from '../../telemetry/live.ts'
import type { Logger } from '../../telemetry/log.ts'
import { LineSampler } from '../../telemetry/sampler.ts'
import { errorFrame, frameOf, messageOf, now } from './frames.ts'
import { isGranted } from './topics.ts'

/** A publisher of envelopes: the bearer of a JWT, or an operator. */
export interface Author {
  readonly subject: string | undefined
  /** Names, or prefixes followed by `*`. */
  readonly publishTopics: readonly string[]
}

/** A publish request, and the text of its `data`, which is published as the client wrote it. */
export type Publication = Pick<PublishRequest, 'topic' | 'envelope'> & { readonly data: string | undefined }

/** One envelope, ready to be published. */
interface PreparedEnvelope {
  readonly topic: string
  readonly subject: string
  readonly uuid: string
  /** JSON text for the stream of the topic. */
  readonly envelope: string
  /** JSON text for its channel. */
  readonly message: string
}

export interface PublisherParts {
  /** OUTBOX_TOPICS: names, or prefixes followed by `*`. */
  readonly topics: readonly string[]
  /** @throws when Redis does not answer, or forbids it. */
  readonly publish: (envelope: PreparedEnvelope) => Promise<'published' | 'duplicate' | 'over'>
  readonly count: (result: keyof LiveCounts['outbox']) => void
  readonly log: Logger
}

/** Why an envelope was not published. */
export interface Unpublished {
  readonly code: ErrorCode
  readonly about: string
}

export type PublishAnswer = Pick<Published, 'topic' | 'duplicate' | 'server_time'> | Unpublished

/** A clock that is so far ahead would win against every later change. */
const MAX_AHEAD_MS = 5 * 60_000
/** Envelopes that wait for Redis at a time. */
const MAX_WAITING = 1000
const REDIS_DEADLINE_MS = 2000

const unpublished = (code: ErrorCode, about: string): Unpublished => ({ code, about })

/**
 * Publishes the envelopes of clients. It decides which topics an author may publish on, and leaves
 * to Redis that each envelope is published once.
 */
export class Publisher {
  readonly #parts: PublisherParts
  readonly #lines = new LineSampler()
  #waiting = 0

  constructor(parts: PublisherParts) {
    this.#parts = parts
  }

  /** Publishes an envelope of the contract. Never rejects. */
  async publish(author: Author | undefined, request: Publication): Promise<PublishAnswer> {
    const refusal = this.#refusal(author, request)
    if (refusal !== undefined) {
      this.#parts.count('refused')
      return refusal
    }
    if (this.#waiting >= MAX_WAITING) return this.#failed('too many envelopes wait for Redis')
    this.#waiting++
    try {
      return await this.#send(author!.subject!, request)
    } catch (error) {
      return this.#failed(reasonOf(error))
    } finally {
      this.#waiting--
    }
  }

  #refusal(author: Author | undefined, { topic, envelope }: Publication) {
    const { topics } = this.#parts
    if (topics.length === 0) return unpublished('forbidden', 'this gateway publishes no envelopes (OUTBOX_TOPICS)')
    if (author?.subject === undefined)
      return unpublished('forbidden', 'no JWT with sub and publish_topics; sockets also need WS_AUTH_REQUIRED=true')
    if (!isTopic(topic) || !isGranted(topics, topic)) return unpublished('unknown-topic', 'not in OUTBOX_TOPICS')
    if (!isGranted(author.publishTopics, topic))
      return unpublished('forbidden', `the token may not publish on ${topic}`)
    const aheadMs = envelope.ts - Date.now()
    if (aheadMs > MAX_AHEAD_MS) return unpublished('clock-ahead', `${aheadMs} ms; ${MAX_AHEAD_MS} are allowed`)
    return undefined
  }

  async #send(subject: string, { topic, envelope, data }: Publication): Promise<PublishAnswer> {
    const { correlation_id: uuid, ts, op, domain, id } = envelope
    const fields = JSON.stringify({ correlation_id: uuid, ts, op, domain, id })
    const kept = data === undefined ? fields : `${fields.slice(0, -1)},"data":${data}}`
    const message = `{"type":"envelope","data":${kept},"correlation_id":"${uuid}"}`
    const sent = this.#parts.publish({ topic, subject, uuid, envelope: kept, message })
    const outcome = await within(sent, REDIS_DEADLINE_MS)
    if (outcome === 'over') {
      this.#parts.count('refused')
      return unpublished('rate-limited', 'OUTBOX_MAX_PER_DAY envelopes of this subject today')
    }
    this.#parts.count(outcome)
    return { topic, duplicate: outcome === 'duplicate', server_time: now() }
  }

  /** The envelope may have been published; the client sends it again, which does no harm. */
  #failed(reason: string): Unpublished {
    this.#parts.count('failed')
    const skipped = this.#lines.take('outbox')
    if (skipped !== undefined)
      this.#parts.log.error({ event: 'outbox-failed', reason, skipped }, 'an envelope was not published')
    return unpublished('redis-unavailable', '')
  }
}

/** The frame that answers a publish frame. */
export function publishFrame(answer: PublishAnswer, { id, envelope }: PublishRequest): Buffer {
  const { correlation_id: uuid } = envelope
  if ('code' in answer) return errorFrame(answer.code, messageOf(answer.code, answer.about), uuid, id)
  return frameOf({ type: 'published', ...answer, ...(id !== undefined && { id }) }, uuid)
}
