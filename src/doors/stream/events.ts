import { EVENT_HEADERS } from '../../connection/events.ts'
import type { HttpResponse } from '../../platform/uws.ts'
import type { StreamLog, StreamPart } from '../../sessions/stream-log.ts'
import type { StillCounts } from './access.ts'
import { bodyOf, eventOf, isJson, isText, typeOf } from './body.ts'
import { cursorAfter, offsetText } from './offsets.ts'
import type { StreamPlace } from './reads.ts'
import type { Watch } from './waiting.ts'

/** The protocol has readers come back about once a minute, so that caches can join them. */
const LIFETIME_MS = 60_000
/** No proxy takes a stream for idle that says something this often. */
const PING_MS = 15_000
const PING = ':\n\n'

/**
 * Writes to one response, never behind what its client has not read: uWebSockets.js has no limit of
 * its own for HTTP.
 */
class Outlet {
  readonly #res: HttpResponse
  readonly #isGone: () => boolean
  readonly #onGone: (stop: () => void) => void
  readonly #lagging: (change: 1 | -1) => void
  #head: (() => void) | undefined
  writtenAt = performance.now()

  constructor({ res, isGone, onGone }: EventsReader, head: () => void, lagging: (change: 1 | -1) => void) {
    this.#res = res
    this.#isGone = isGone
    this.#onGone = onGone
    this.#lagging = lagging
    this.#head = head
  }

  /** Resolves with whether the client can take more; it has `ms` to read what it got. */
  write(text: string, ms: number): Promise<boolean> {
    if (this.#isGone()) return Promise.resolve(false)
    this.writtenAt = performance.now()
    let hasLeft = false
    this.#res.cork(() => {
      this.#head?.()
      this.#head = undefined
      hasLeft = this.#res.write(text)
    })
    if (hasLeft) return Promise.resolve(true)
    this.#lagging(1)
    return new Promise((resolve) => {
      let hasSettled = false
      const settle = (isWritable: boolean) => {
        if (!hasSettled) this.#lagging(-1)
        hasSettled = true
        clearTimeout(timer)
        resolve(isWritable && !this.#isGone())
      }
      const timer = setTimeout(() => settle(false), ms)
      this.#onGone(() => settle(false))
      this.#res.onWritable(() => {
        settle(true)
        return true
      })
    })
  }
}

export interface EventsParts {
  readonly log: StreamLog
  readonly maxDepth: number
  /** Counts messages that readers get. */
  readonly sent: (part: StreamPart) => void
  /** Counts the readers that have not read what was written. */
  readonly lagging: (change: 1 | -1) => void
}

/** One reader of a stream that gets server-sent events. */
export interface EventsReader {
  readonly res: HttpResponse
  readonly isGone: () => boolean
  /** Says what is called once when the client goes, in place of what was to be called before. */
  readonly onGone: (stop: () => void) => void
  readonly stillCounts: StillCounts
  /** Writes the status and the headers. */
  readonly head: (headers: Readonly<Record<string, string>>) => void
  readonly session: string
  readonly place: StreamPlace
  readonly cursor: string
  readonly watch: Watch
}

/**
 * Sends a stream as events, each `data` followed by a `control`, until it closes, its minute is
 * over, its credential counts no more, or the client has gone. @throws RedisUnavailable;
 * LogUnusable.
 */
export async function sendEvents(reader: EventsReader, { log, maxDepth, sent, lagging }: EventsParts): Promise<void> {
  const { res, isGone, session, place, watch } = reader
  const type = typeOf(place.state.type)
  const encoding: Record<string, string> = isText(type) ? {} : { 'Stream-SSE-Data-Encoding': 'base64' }
  const out = new Outlet(reader, () => reader.head({ ...EVENT_HEADERS, ...encoding }), lagging)
  const until = performance.now() + LIFETIME_MS
  let { from } = place
  let cursor = reader.cursor
  for (let isFirst = true; ; isFirst = false) {
    const part = await log.part(session, place.state, from)
    const leftMs = until - performance.now()
    if (part === undefined || !(isFirst || reader.stillCounts())) break
    const isNews = isFirst || part.payloads.length > 0 || part.closed
    if (isNews) cursor = cursorAfter(cursor, Date.now())
    const text = isNews ? eventsOf(place.state.epoch, part, type, cursor, maxDepth) : pingAfter(out.writtenAt)
    sent(part)
    if (text !== '' && !(await out.write(text, Math.max(1, leftMs)))) return isGone() ? undefined : void res.close()
    from = part.end
    if (part.closed) break
    if (!part.isLast) continue
    if (leftMs <= 0 || watch.isOver) break
    await watch.heard(Math.min(leftMs, PING_MS))
    if (isGone()) return
    if (watch.isOver) break
  }
  if (!isGone()) res.cork(() => res.end())
}

const pingAfter = (writtenAt: number): string => (performance.now() - writtenAt >= PING_MS - 1 ? PING : '')

function eventsOf(epoch: string, part: StreamPart, type: string, cursor: string, maxDepth: number): string {
  const control = {
    streamNextOffset: offsetText(epoch, part.end),
    ...(part.closed ? { streamClosed: true } : { streamCursor: cursor }),
    ...(part.isLast && { upToDate: true }),
  }
  const said = eventOf('control', JSON.stringify(control))
  if (part.payloads.length === 0) return said
  const body = bodyOf(part.payloads, type, maxDepth)
  const text = isText(type) || isJson(type) ? body.toString('utf8') : body.toString('base64')
  return eventOf('data', text) + said
}
