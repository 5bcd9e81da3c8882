import { redact } from './redact.ts'

/** Causes of causes, and the errors of an AggregateError, are followed this far. */
const MAX_DEPTH = 4
const MAX_ERRORS = 8
const MAX_TEXT = 1000
const UNREADABLE = 'a value that cannot be read was thrown'

/**
 * Returns why something failed, as one text that is never empty: the message, the code where there
 * is no message, and what the causes and the errors of an `AggregateError` add to it. `thrown` may
 * be any value. At most 1,000 characters; never throws.
 */
export function reasonOf(thrown: unknown): string {
  let text: string
  try {
    text = redact(describe(thrown, 0, new Set()))
  } catch {
    // A getter threw, or a proxy.
    text = UNREADABLE
  }
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}...` : text
}

/** Returns the error itself, or for any other value an error that says what was thrown. */
export const asError = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(reasonOf(thrown)))

function describe(thrown: unknown, depth: number, seen: Set<unknown>): string {
  if (typeof thrown === 'string') return thrown.trim() === '' ? 'an empty text was thrown' : thrown
  if (typeof thrown !== 'object' || thrown === null) return `${String(thrown)} was thrown`
  seen.add(thrown)
  const { message, code, errors, cause, name } = thrown as Record<string, unknown>
  const parts: string[] = []
  const add = (text: string) => {
    if (!parts.some((part) => part.includes(text))) parts.push(text)
  }
  if (isText(message)) add(message)
  else if (isText(code) || typeof code === 'number') add(codeOf(thrown as Record<string, unknown>))
  if (depth < MAX_DEPTH) {
    const inner = [
      ...(Array.isArray(errors) ? errors.slice(0, MAX_ERRORS) : []),
      ...(cause === undefined ? [] : [cause]),
    ]
    for (const each of inner) if (!seen.has(each)) add(describe(each, depth + 1, seen))
  }
  if (parts.length > 0) return parts.join('; ')
  return thrown instanceof Error ? `${isText(name) ? name : 'Error'} without a message` : jsonOf(thrown)
}

/** What Node's system errors say beside their code. */
function codeOf({ code, syscall, address, port }: Record<string, unknown>): string {
  const at = isText(address) ? ` ${address}${port === undefined ? '' : `:${port}`}` : ''
  return `${isText(syscall) ? `${syscall} ` : ''}${code}${at}`
}

function jsonOf(thrown: object): string {
  const json = JSON.stringify(thrown)
  return json === undefined || json === '{}'
    ? `${thrown.constructor?.name ?? 'object'} was thrown`
    : `${json} was thrown`
}

const isText = (value: unknown): value is string => typeof value === 'string' && value.trim() !== ''
