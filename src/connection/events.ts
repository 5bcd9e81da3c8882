import { EventBuffer } from './event-buffer.ts'

/** Server-sent events (HTML standard, section 9.2). */

const LF = 0x0a
const CR = 0x0d
/** Of `data: ` and the line ends of an event with one line. */
const FRAME_BYTES = 8

/**
 * Adds an event with this payload: a line of it is a line of the event.
 * @param fields the lines before it, each byte as a character.
 * @param skipped the payload begins after so many bytes.
 */
export function addEvent(out: EventBuffer, fields: string, payload: Buffer, skipped = 0): void {
  if (payload.includes(LF) || payload.includes(CR)) {
    const lines = payload.toString('utf8', skipped).split(/\r\n|\n|\r/)
    out.latin1(fields)
    return out.add(Buffer.from(`${lines.map((line) => `data: ${line}\n`).join('')}\n`))
  }
  out.addRest(`${fields}data: `, payload, skipped)
  out.latin1('\n\n')
}

/** Makes such an event. */
export function eventOf(fields: string, payload: Buffer): Buffer {
  const out = new EventBuffer(fields.length + payload.length + FRAME_BYTES)
  addEvent(out, fields, payload)
  return out.take(0)
}

/** Of an answer with events, against proxies that keep, change or compress what passes. */
export const EVENT_HEADERS = {
  'Content-Type': 'text/event-stream',
  'Cache-Control': 'no-cache, no-transform',
  'X-Accel-Buffering': 'no',
} as const

/** What a silent stream gets, by `SSE_PING`. */
export const EVENT_PINGS = {
  comment: Buffer.from(':\n\n'),
  event: Buffer.from('event: ping\ndata: {}\n\n'),
} as const
