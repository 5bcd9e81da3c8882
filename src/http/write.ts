import type { HttpResponse } from '../platform/uws.ts'
import { type ApiResponse, NOSNIFF } from './response.ts'

/**
 * One in this many answers to HEAD closes its connection. uWebSockets.js does not report whether
 * headers alone have left, so a client that never reads would collect them without a bound.
 */
const HEADS_TO_CLOSE = 256

let heads = 0

/**
 * Writes an answer. The part that the kernel does not take stays with the answer and follows as the
 * client reads: `tryEnd` writes nothing while older bytes of the connection wait, so a connection
 * holds at most one unread answer. uWebSockets.js cuts a connection that sends its next request
 * before that answer has left.
 */
export function write(
  res: HttpResponse,
  { status, type, body, headers = {}, cookies = [] }: ApiResponse,
  head: boolean,
): void {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  const closes = head && ++heads % HEADS_TO_CLOSE === 0
  res.cork(() => {
    res.writeStatus(status)
    if (type !== '') res.writeHeader('Content-Type', type)
    for (const [name, value] of Object.entries({ 'Cache-Control': 'no-store', ...NOSNIFF, ...headers }))
      res.writeHeader(name, value)
    for (const cookie of cookies) res.writeHeader('Set-Cookie', cookie)
    if (closes) res.writeHeader('Connection', 'close').tryEnd('', bytes.length)
    // Written as a header: with a length given to endWithoutBody, uWebSockets.js waits for that
    // body and answers nothing more.
    else if (head) {
      // A route that answers HEAD by itself does not know the length of its GET.
      if (bytes.length > 0) res.writeHeader('Content-Length', String(bytes.length))
      res.endWithoutBody()
    } else if (!res.tryEnd(bytes, bytes.length)[1])
      res.onWritable((offset) => res.tryEnd(bytes.subarray(offset), bytes.length)[0])
  })
  if (closes) closeSoon(res)
}

/** Writes an answer and closes the connection after it: nothing behind its request is read. */
export function writeAndClose(
  res: HttpResponse,
  { status, type, body, headers = {}, cookies = [] }: ApiResponse,
): void {
  res.cork(() => {
    res.writeStatus(status)
    if (type !== '') res.writeHeader('Content-Type', type)
    for (const [name, value] of Object.entries({ ...NOSNIFF, ...headers })) res.writeHeader(name, value)
    for (const cookie of cookies) res.writeHeader('Set-Cookie', cookie)
    res.end(body, true)
  })
}

/** Closes when the headers have left: uWebSockets.js writes them at the end of this turn. */
function closeSoon(res: HttpResponse): void {
  let isGone = false
  res.onAborted(() => {
    isGone = true
  })
  setImmediate(() => {
    if (!isGone) res.close()
  })
}
