import type { Refusal } from '../../contract/codes.ts'
import { refused } from '../../http/refuse.ts'
import type { ApiResponse } from '../../http/response.ts'
import type { DurableState, StreamPart } from '../../sessions/stream-log.ts'
import { bodyOf, typeOf } from './body.ts'
import { etagOf, offsetText } from './offsets.ts'

type Headers = Record<string, string>

export const NEXT_OFFSET = 'Stream-Next-Offset'
export const CLOSED: Headers = { 'Stream-Closed': 'true' }
const UP_TO_DATE: Headers = { 'Stream-Up-To-Date': 'true' }
/** Without a shared cache: an answer is for the one whose token came with the question. */
const REVALIDATE: Headers = { 'Cache-Control': 'private, no-cache' }

/** A refusal with headers of the protocol. */
export const refusedWith = (refusal: Refusal, headers: Headers = {}, message = refusal.message): ApiResponse =>
  refused({ ...refusal, message, headers: { ...refusal.headers, ...headers } })

export const empty = (status: string, headers: Headers): ApiResponse => ({ status, type: '', body: '', headers })

/** What `HEAD` says of a stream. */
export function metadata({ epoch, newest, closedAt, type, ttl, expiresAt }: DurableState): ApiResponse {
  return {
    status: '200 OK',
    type: typeOf(type),
    body: '',
    headers: {
      [NEXT_OFFSET]: offsetText(epoch, newest),
      ...(closedAt === newest && CLOSED),
      ...(ttl !== undefined && { 'Stream-TTL': ttl }),
      ...(expiresAt !== undefined && { 'Stream-Expires-At': new Date(expiresAt).toISOString() }),
    },
  }
}

/** What a read is answered with. */
export interface ReadAnswer {
  readonly state: DurableState
  readonly from: number
  readonly part: StreamPart
  /** Of a live read. */
  readonly cursor?: string | undefined
  /** The reader has the answer with this tag. */
  readonly ifNoneMatch: string
  /** The tail changes with each message, so a cache must not keep it. */
  readonly isTail: boolean
  readonly maxDepth: number
}

export function readAnswer(read: ReadAnswer): ApiResponse {
  const { state, from, part, cursor, ifNoneMatch, isTail, maxDepth } = read
  const next = offsetText(state.epoch, part.end)
  const etag = etagOf(offsetText(state.epoch, from), next, part.closed)
  const headers: Headers = {
    [NEXT_OFFSET]: next,
    ...(part.isLast && UP_TO_DATE),
    ...(part.closed && CLOSED),
    ...(cursor !== undefined && { 'Stream-Cursor': cursor }),
    ...(!isTail && { ...REVALIDATE, ETag: etag }),
  }
  if (!isTail && ifNoneMatch.split(',').some((each) => each.trim().replace(/^W\//, '') === etag))
    return empty('304 Not Modified', headers)
  const type = typeOf(state.type)
  return { status: '200 OK', type, body: bodyOf(part.payloads, type, maxDepth), headers }
}

/** Nothing came while a reader waited at the tail, or nothing will. */
export const nothingNew = ({ epoch }: DurableState, from: number, closed: boolean, cursor: string): ApiResponse =>
  empty('204 No Content', {
    [NEXT_OFFSET]: offsetText(epoch, from),
    ...UP_TO_DATE,
    'Stream-Cursor': cursor,
    ...(closed && CLOSED),
  })
