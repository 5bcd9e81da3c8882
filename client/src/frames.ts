/** A numbered frame of `wsproxy.v2`. */
export interface Numbered {
  /** Undefined for a message that no log keeps. */
  readonly offset: number | undefined
  /** The payload as JSON, as text where it is not JSON, or bytes. */
  readonly payload: unknown
}

/** The digits of the largest safe integer, and a space. */
const MAX_HEAD = 17

/** Returns the value of a JSON text, or the text itself where it is not JSON. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** Splits `<number> <payload>`, where the number may be `-`. Throws when it has no number. */
export function split(frame: string): readonly [offset: number | undefined, payload: string] {
  const head = /^(?:-|(\d{1,16})) /.exec(frame)
  if (!head) throw new Error('a message came without a number')
  return [head[1] ? Number(head[1]) : undefined, frame.slice(head[0].length)]
}

/** Parses a frame of text or bytes. Throws when it has no number. */
export function numbered(data: string | Uint8Array): Numbered {
  if (typeof data === 'string') {
    const [offset, text] = split(data)
    return { offset, payload: parsed(text) }
  }
  const start = String.fromCharCode(...data.subarray(0, MAX_HEAD))
  const [offset, rest] = split(start)
  return { offset, payload: data.subarray(start.length - rest.length) }
}
