import { isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import type { Config } from '../../config/table.ts'
import { type FrameErrorCode, type Refusal, refusals } from '../../contract/codes.ts'
import { frameRefusal } from '../../contract/frame-refusals.ts'
import { sessionUp } from '../../contract/names.ts'
import { type ApiResponse, json } from '../../http/response.ts'
import { jsonFault } from '../../platform/json-scan.ts'
import { KeyedRate, rateOf } from '../../platform/rate.ts'
import { RedisUnavailable } from '../../platform/unavailable.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import { cancelledRun } from './client-frames.ts'
import type { UpstreamPublisher } from './state.ts'

export interface StreamPostsParts {
  readonly options: Pick<Config, 'jsonMaxDepth' | 'sessionUpstream' | 'sessionRate' | 'sessionRateBurst'>
  readonly upstream: {
    publisher(channel: string, refused: (code: FrameErrorCode) => void): UpstreamPublisher
  }
  /** Publishes each frame once per key. Undefined: another frame came under the key. */
  readonly posts: {
    publish(session: string, keyHash: string, frameHash: string, frame: string): Promise<number | undefined>
    /** Keeps the key for this frame. False: another frame has it. */
    claim(session: string, keyHash: string, frameHash: string): Promise<boolean>
  }
  readonly cancel: (sessionId: string, run: string) => Promise<void>
  readonly metrics: Metrics
}

const KEY = /^[\x21-\x7e]{1,200}$/
const OTHER_FRAME: Refusal = {
  ...refusals['bad-request'],
  message: 'Another frame was posted with this Idempotency-Key.',
  field: 'Idempotency-Key',
}
const WRONG_KEY: Refusal = {
  ...refusals['bad-request'],
  message: 'An Idempotency-Key has 1 to 200 visible ASCII characters.',
  field: 'Idempotency-Key',
}

/** Publishes what clients of a stream post, as a socket does with the frames of its client. */
export class StreamPosts {
  readonly #parts: StreamPostsParts
  /** For each session: a stream has no socket that could have a rate of its own. */
  readonly #rates: KeyedRate

  constructor(parts: StreamPostsParts) {
    const { sessionRate, sessionRateBurst } = parts.options
    this.#parts = parts
    this.#rates = new KeyedRate(rateOf(sessionRate, sessionRateBurst))
  }

  /** @param key of the header; '': a frame that is posted again is published again. */
  async post(session: string, frame: Buffer, key: string, isReadOnly: boolean): Promise<ApiResponse | Refusal> {
    const { metrics } = this.#parts
    metrics.received.client++
    const refusal = this.#fault(session, frame, key, isReadOnly)
    if (refusal) return refusal
    const run = cancelledRun(frame)
    const notCancelled = run === undefined ? undefined : await this.#cancel(session, run, frame, key)
    if (notCancelled) return notCancelled
    const outcome = await (key === '' ? this.#publish(session, frame) : this.#publishOnce(session, frame, key))
    if (outcome === undefined) return OTHER_FRAME
    return typeof outcome === 'number' ? json('202 Accepted', { receivers: outcome }) : frameRefusal(outcome)
  }

  /** Keeps the run before its frame is published: an agent that hears the frame finds it. */
  async #cancel(session: string, run: string, frame: Buffer, key: string): Promise<Refusal | undefined> {
    const { posts, cancel } = this.#parts
    try {
      // A frame that is refused for its key must not cancel.
      if (key !== '' && !(await posts.claim(session, hashOf(key), hashOf(frame)))) return OTHER_FRAME
      await cancel(session, run)
    } catch {
      return frameRefusal('upstream-unavailable')
    }
    return undefined
  }

  #fault(session: string, frame: Buffer, key: string, isReadOnly: boolean): Refusal | undefined {
    const { options, metrics } = this.#parts
    if (key !== '' && !KEY.test(key)) return WRONG_KEY
    if (!this.#rates.take(session, performance.now())) {
      metrics.lose('rate_limit')
      return frameRefusal('rate-limited')
    }
    // Of a socket the library checks this. Agents that decode all messages would fail at the bytes.
    const fault = isUtf8(frame) ? jsonFault(frame, options.jsonMaxDepth) : 'not-json'
    if (fault !== undefined) {
      metrics.lose('invalid')
      const depth = `The frame is nested deeper than ${options.jsonMaxDepth} levels (JSON_MAX_DEPTH); it was not published.`
      return frameRefusal('invalid-json', fault === 'too-deep' ? depth : undefined)
    }
    if (!options.sessionUpstream) return frameRefusal('upstream-disabled')
    return isReadOnly ? frameRefusal('forbidden') : undefined
  }

  #publish(session: string, frame: Buffer): Promise<number | FrameErrorCode> {
    return new Promise((resolve) => {
      this.#parts.upstream.publisher(sessionUp(session), resolve).publish(frame, undefined, resolve)
    })
  }

  /** An answer that was lost on the way does no harm: the client repeats the call. */
  async #publishOnce(session: string, frame: Buffer, key: string): Promise<number | FrameErrorCode | undefined> {
    try {
      return await this.#parts.posts.publish(session, hashOf(key), hashOf(frame), frame.toString('utf8'))
    } catch (error) {
      if (error instanceof RedisUnavailable) return 'upstream-uncertain'
      throw error
    }
  }
}

const hashOf = (text: string | Buffer): string => createHash('sha256').update(text).digest('base64url')
