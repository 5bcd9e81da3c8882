import { type Refusal, refusals } from '../../contract/codes.ts'
import { APPEND_RESULTS, type AppendResult } from '../../contract/reasons.ts'
import type { ApiResponse } from '../../http/response.ts'
import type { Producer, StreamAnswer, StreamWord, StreamWrite } from '../../sessions/stream-log.ts'
import { CLOSED, empty, NEXT_OFFSET, refusedWith } from './answer.ts'
import { messagesIn, normalType } from './body.ts'
import { offsetText } from './offsets.ts'
import { noStream } from './reads.ts'

export interface WriteParts {
  /** @throws RedisUnavailable; LogUnusable, for both. */
  readonly write: (session: string, write: StreamWrite) => Promise<StreamAnswer>
  readonly remove: (session: string) => Promise<boolean>
  readonly counted: (result: AppendResult) => void
  readonly maxDepth: number
}

/** A request with its body. */
export interface WriteRequest {
  readonly session: string
  /** By their names in small letters; '' when absent. */
  readonly header: (name: string) => string
  readonly body: Buffer
  /** The absolute address of the stream. */
  readonly url: string
}

/** One script writes them all, and Redis does nothing else meanwhile. */
const MAX_MESSAGES = 1000
const DEFAULT_TYPE = 'application/octet-stream'
const MAX_TTL_S = 315_360_000
const TTL = /^(0|[1-9]\d{0,8})$/
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/i
const NUMBER = /^(0|[1-9]\d{0,14})$/
const MAX_NAME = 256

/** Why a request is refused before it is written. */
class Wrong extends Error {
  readonly refusal: Refusal

  constructor(refusal: Refusal, message: string, field?: string) {
    super(message)
    this.refusal = { ...refusal, message, field }
  }
}

const wrong = (field: string, message: string): Wrong => new Wrong(refusals['bad-request'], message, field)

/** Answers `PUT`, `POST` and `DELETE` of streams. @throws RedisUnavailable; LogUnusable. */
export class StreamWrites {
  readonly #parts: WriteParts

  constructor(parts: WriteParts) {
    this.#parts = parts
  }

  async create(request: WriteRequest): Promise<ApiResponse> {
    return this.#guarded(async () => {
      const write = this.#createOf(request)
      const answer = await this.#parts.write(request.session, write)
      if (answer.word === 'differs')
        return refusedWith(refusals['stream-conflict'], {}, 'A stream of another type, life or state is here.')
      const headers = { ...placeOf(answer), 'Content-Type': write.type }
      if (answer.word === 'same') return empty('200 OK', headers)
      return empty('201 Created', { ...headers, Location: request.url })
    })
  }

  async append(request: WriteRequest): Promise<ApiResponse> {
    return this.#guarded(async () => {
      const write = this.#appendOf(request)
      const answer = await this.#parts.write(request.session, write)
      this.#parts.counted(resultOf(answer.word))
      return answerOf(answer, write)
    })
  }

  async remove({ session }: WriteRequest): Promise<ApiResponse> {
    return (await this.#parts.remove(session)) ? empty('204 No Content', {}) : noStream()
  }

  async #guarded(work: () => Promise<ApiResponse>): Promise<ApiResponse> {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof Wrong)) throw error
      this.#parts.counted('refused')
      return refusedWith(error.refusal)
    }
  }

  #createOf({ header, body }: WriteRequest): StreamWrite & { type: string } {
    if (header('stream-forked-from') !== '')
      throw new Wrong(refusals['forks-unsupported'], refusals['forks-unsupported'].message)
    const type = normalType(header('content-type') || DEFAULT_TYPE)
    if (type === undefined) throw wrong('Content-Type', 'Content-Type is not a media type.')
    const [ttl, expires] = [header('stream-ttl'), header('stream-expires-at')]
    if (ttl !== '' && expires !== '') throw wrong('Stream-TTL', 'Give Stream-TTL or Stream-Expires-At, not both.')
    if (ttl !== '' && !(TTL.test(ttl) && Number(ttl) >= 1 && Number(ttl) <= MAX_TTL_S))
      throw wrong('Stream-TTL', `Stream-TTL is a number of seconds from 1 to ${MAX_TTL_S}.`)
    const expiresAt = expires === '' ? undefined : timeOf(expires)
    const messages = this.#messagesOf(body, type)
    return { verb: 'create', type, closes: closes(header), ttl: ttl || undefined, expiresAt, messages }
  }

  #appendOf({ header, body }: WriteRequest): StreamWrite {
    const isClosing = closes(header)
    const given = header('content-type')
    const isEmpty = body.length === 0
    if (isEmpty && !isClosing) throw wrong('body', 'The body is empty, and Stream-Closed is not true.')
    if (!isEmpty && given === '') throw wrong('Content-Type', 'Content-Type is missing.')
    // A close without a body has no type to compare.
    const type = isEmpty ? '' : normalType(given)
    if (type === undefined) throw wrong('Content-Type', 'Content-Type is not a media type.')
    const messages = isEmpty ? [] : this.#messagesOf(body, type)
    if (!isEmpty && messages.length === 0) throw wrong('body', 'The array is empty.')
    const sequence = header('stream-seq')
    if (sequence.length > MAX_NAME) throw wrong('Stream-Seq', `Stream-Seq has at most ${MAX_NAME} bytes.`)
    return { verb: 'append', type, closes: isClosing, sequence, producer: producerOf(header), messages }
  }

  #messagesOf(body: Buffer, type: string): Buffer[] {
    const messages = messagesIn(body, type, this.#parts.maxDepth)
    if (messages === 'too-deep') throw wrong('body', `The body is nested deeper than ${this.#parts.maxDepth} levels.`)
    if (messages === 'not-json') throw wrong('body', 'The body is not JSON.')
    if (messages.length > MAX_MESSAGES)
      throw new Wrong(refusals['body-too-large'], `One request writes at most ${MAX_MESSAGES} messages.`)
    return messages
  }
}

const closes = (header: (name: string) => string): boolean => header('stream-closed').toLowerCase() === 'true'

function timeOf(text: string): number {
  const time = TIME.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(time)) throw wrong('Stream-Expires-At', 'Stream-Expires-At is no time of RFC 3339.')
  return time
}

function producerOf(header: (name: string) => string): Producer | undefined {
  const [id, epoch, number] = [header('producer-id'), header('producer-epoch'), header('producer-seq')]
  if (id === '' && epoch === '' && number === '') return undefined
  if (id === '' || id.length > MAX_NAME) throw wrong('Producer-Id', `Producer-Id has 1 to ${MAX_NAME} bytes.`)
  if (!NUMBER.test(epoch)) throw wrong('Producer-Epoch', 'Producer-Epoch is a number from 0.')
  if (!NUMBER.test(number)) throw wrong('Producer-Seq', 'Producer-Seq is a number from 0.')
  return { id, epoch, number }
}

const placeOf = ({ epoch, offset, closed }: StreamAnswer): Record<string, string> => ({
  [NEXT_OFFSET]: offsetText(epoch, offset),
  ...(closed && CLOSED),
})

const resultOf = (word: StreamWord): AppendResult => APPEND_RESULTS.find((each) => each === word) ?? 'refused'

function answerOf(answer: StreamAnswer, { producer, messages }: StreamWrite): ApiResponse {
  const [first, second] = answer.details
  const place = placeOf(answer)
  const seen = producer && { 'Producer-Epoch': first, 'Producer-Seq': second }
  switch (answer.word) {
    case 'ok':
      return empty(producer && messages.length > 0 ? '200 OK' : '204 No Content', { ...place, ...seen })
    case 'duplicate':
      return empty('204 No Content', { ...place, ...seen })
    case 'missing':
      return noStream()
    case 'closed':
      return refusedWith(refusals['stream-conflict'], place, 'The stream is closed.')
    case 'stale':
      return refusedWith(refusals['producer-stale'], { 'Producer-Epoch': first })
    case 'gap':
      return refusedWith(refusals['producer-gap'], {
        'Producer-Expected-Seq': first,
        'Producer-Received-Seq': producer?.number ?? '',
      })
    case 'first':
      return refusedWith(refusals['bad-request'], {}, 'A new Producer-Epoch begins with Producer-Seq 0.')
    case 'sequence':
      return refusedWith(refusals['stream-conflict'], {}, `Stream-Seq must come after the newest one, ${first}.`)
    case 'crowded':
      return refusedWith(refusals['stream-conflict'], {}, 'The stream has too many producers: at most 1,000.')
    default:
      return refusedWith(refusals['stream-conflict'], {}, 'The stream has another content type.')
  }
}
