/** A numbered frame of `wsproxy.v2`. */
export interface Numbered {
  /** Undefined for a message that no log keeps. */
  readonly offset: number | undefined
  /** The payload as JSON, as text where it is not JSON, or bytes. */
  readonly payload: unknown
}

const SPACE = 32
/** The digits of the largest safe integer. */
const MAX_DIGITS = 16

/** Returns the value of a JSON text, or the text itself where it is not JSON. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** Parses `<number> <payload>`, where the number may be `-`. Throws when it has no number. */
export function numbered(data: string | Uint8Array): Numbered {
  if (typeof data === 'string') {
    const space = data.indexOf(' ')
    return { offset: offsetOf(data.slice(0, Math.max(space, 0))), payload: parsed(data.slice(space + 1)) }
  }
  const space = data.subarray(0, MAX_DIGITS + 1).indexOf(SPACE)
  const head = String.fromCharCode(...data.subarray(0, Math.max(space, 0)))
  return { offset: offsetOf(head), payload: data.subarray(space + 1) }
}

function offsetOf(head: string): number | undefined {
  if (head === '-') return undefined
  if (/^\d{1,16}$/.test(head)) return Number(head)
  throw new Error('a message came without a number')
}
