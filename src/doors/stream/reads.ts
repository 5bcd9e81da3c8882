import { refusals } from '../../contract/codes.ts'
import type { ApiResponse } from '../../http/response.ts'
import { beginOf, type DurableState, type StreamLog, type StreamPart } from '../../sessions/stream-log.ts'
import { metadata, nothingNew, readAnswer, refusedWith } from './answer.ts'
import { cursorAfter, parseOffset, type StreamPosition } from './offsets.ts'
import type { Watch } from './waiting.ts'

export interface ReadParts {
  readonly log: StreamLog
  /** Renews the life of a stream that has just been read. It must not reject. */
  readonly touch: (session: string, state: DurableState) => void
  /** Hears of a session from now on. @throws RedisUnavailable; RedisForbids. */
  readonly watch: (session: string, agent: string) => Promise<Watch>
  readonly pollTimeoutMs: number
  readonly maxDepth: number
  /** Counts messages that readers get. */
  readonly sent: (part: StreamPart) => void
}

type LiveMode = 'long-poll' | 'sse'

/** What a reader asks for. */
export interface ReadRequest {
  readonly position: StreamPosition
  readonly live: LiveMode | undefined
  readonly cursor: string
  readonly ifNoneMatch: string
}

/** A place in a stream. */
export interface StreamPlace {
  readonly state: DurableState
  readonly from: number
}

const GONE = () => refusedWith(refusals['offset-gone'])
export const noStream = (): ApiResponse => refusedWith(refusals['not-found'], {}, 'No such stream.')

/** Reads the query of a `GET`. Returns the name of the parameter that is wrong, if one is. */
export function readRequestOf(query: URLSearchParams, ifNoneMatch: string): ReadRequest | 'offset' | 'live' {
  const live = query.get('live') ?? undefined
  if (live !== undefined && live !== 'long-poll' && live !== 'sse') return 'live'
  const offsets = query.getAll('offset')
  if (offsets.length > 1 || (offsets.length === 0 && live !== undefined)) return 'offset'
  const position = parseOffset(offsets[0] ?? '-1')
  if (position === undefined) return 'offset'
  return { position, live, cursor: query.get('cursor') ?? '', ifNoneMatch }
}

/** Answers the reads of streams. Each method throws RedisUnavailable or LogUnusable. */
export class StreamReads {
  readonly #parts: ReadParts

  constructor(parts: ReadParts) {
    this.#parts = parts
  }

  async head(session: string): Promise<ApiResponse> {
    const state = await this.#parts.log.state(session)
    return state === undefined ? noStream() : metadata(state)
  }

  /** Finds where a read begins, or answers why it cannot. */
  async find(session: string, position: StreamPosition): Promise<StreamPlace | ApiResponse> {
    const state = await this.#parts.log.state(session)
    if (state === undefined) return noStream()
    this.#parts.touch(session, state)
    const from = beginOf(state, position)
    return from === undefined ? GONE() : { state, from }
  }

  async catchUp(session: string, request: ReadRequest): Promise<ApiResponse> {
    const place = await this.find(session, request.position)
    if (!('state' in place)) return place
    const part = await this.#parts.log.part(session, place.state, place.from)
    return part === undefined ? GONE() : this.#answer(place, part, request)
  }

  /** Waits at the tail for a message. @param began is called with what it waits by. */
  async longPoll(
    session: string,
    agent: string,
    request: ReadRequest,
    began: (watch: Watch) => void,
  ): Promise<ApiResponse> {
    const place = await this.find(session, request.position)
    if (!('state' in place)) return place
    const { state, from } = place
    const until = performance.now() + this.#parts.pollTimeoutMs
    // The channel is heard before the log is read: no message comes between the two.
    const watch = await this.#parts.watch(session, agent)
    began(watch)
    try {
      for (;;) {
        const part = await this.#parts.log.part(session, state, from)
        if (part === undefined) return (await this.#parts.log.state(session)) === undefined ? noStream() : GONE()
        if (part.payloads.length > 0) return this.#answer(place, part, request)
        const leftMs = until - performance.now()
        const isOver = part.closed || leftMs <= 0 || watch.isOver
        if (!isOver) await watch.heard(leftMs)
        if (isOver || watch.isOver) return nothingNew(state, from, part.closed, this.#cursor(request))
      }
    } finally {
      watch.end()
    }
  }

  #answer({ state, from }: StreamPlace, part: StreamPart, request: ReadRequest): ApiResponse {
    const { position, live, ifNoneMatch } = request
    const cursor = live === undefined ? undefined : this.#cursor(request)
    const { maxDepth, sent } = this.#parts
    sent(part)
    return readAnswer({ state, from, part, cursor, ifNoneMatch, isTail: position === 'now', maxDepth })
  }

  #cursor({ cursor }: ReadRequest): string {
    return cursorAfter(cursor, Date.now())
  }
}
