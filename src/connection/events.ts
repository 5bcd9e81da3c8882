/** Server-sent events (HTML standard, section 9.2). */

const LF = 0x0a
const CR = 0x0d
const DATA = Buffer.from('data: ')
const END = Buffer.from('\n\n')

/**
 * Makes an event with this payload: a line of it is a line of the event.
 * @param fields the lines before it, each byte as a character.
 */
export function eventOf(fields: string, payload: Buffer): Buffer {
  if (payload.includes(LF) || payload.includes(CR)) {
    const lines = payload.toString('utf8').split(/\r\n|\n|\r/)
    const data = lines.map((line) => `data: ${line}\n`).join('')
    return Buffer.concat([Buffer.from(fields, 'latin1'), Buffer.from(`${data}\n`)])
  }
  const event = Buffer.allocUnsafe(fields.length + DATA.length + payload.length + END.length)
  event.write(fields, 0, 'latin1')
  DATA.copy(event, fields.length)
  payload.copy(event, fields.length + DATA.length)
  END.copy(event, fields.length + DATA.length + payload.length)
  return event
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
