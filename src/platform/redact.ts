import { TICKET_PREFIX } from './secrets.ts'

/** Keeps known secrets out of the log, every printed error, every report and every HTTP answer. */

const MASK = '***'
/** Shorter texts are part of too many words to be replaced. */
const MIN_LENGTH = 4
/** Of a secret of this many bytes, the base64 of a text around it is recognised, too. */
const MIN_WITHIN_BASE64 = 6
/** A text that begins like a secret is a part of it: Redis and the limits of reports cut texts. */
const BEGINNING = 24
/** Values of a report or an answer that are nested deeper are left out. */
const MAX_DEPTH = 64

const known = new Set<string>()
const beginnings = new Set<string>()
/** Resume tickets, and their base64 as in a subprotocol. They are recognised by how they begin. */
const TICKETS = [`${TICKET_PREFIX}[\\w.-]+`, `${Buffer.from(TICKET_PREFIX).toString('base64url').slice(0, 6)}[\\w-]+`]
let pattern = new RegExp(TICKETS.join('|'), 'g')

/** Adds secrets to those that `redact` replaces, in every form that this program writes. */
export function protect(secrets: Iterable<string>): void {
  for (const secret of secrets) {
    const raw = secret.trim()
    if (raw.length < MIN_LENGTH) continue
    for (const form of formsOf(raw)) if (form.length >= MIN_LENGTH) known.add(form)
    // Not where a text is escaped, since a cut there may leave half of an escape.
    if (raw.length > BEGINNING && /^[\w.~+=-]+$/.test(raw)) beginnings.add(raw.slice(0, BEGINNING))
  }
  // The longest first: of two secrets, one may be how the other begins.
  const forms = [...known].sort((a, b) => b.length - a.length).map(escapeRegExp)
  const cut = [...beginnings].map((each) => `${escapeRegExp(each)}[\\w.~+=-]*`)
  pattern = new RegExp([...forms, ...cut, ...TICKETS].join('|'), 'g')
}

/** Returns the text with each known secret and each resume ticket replaced by `***`. */
export const redact = (text: string): string => text.replace(pattern, MASK)

/**
 * Returns a copy of plain data with each known secret and each resume ticket replaced in every text
 * and every name of a member.
 */
export const redactIn = <T>(value: T): T => copyOf(value, 0) as T

function copyOf(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return redact(value)
  if (typeof value !== 'object' || value === null) return value
  if (depth === MAX_DEPTH) return MASK
  if (Array.isArray(value)) return value.map((each) => copyOf(each, depth + 1))
  const { toJSON } = value as { toJSON?: unknown }
  if (typeof toJSON === 'function') return copyOf(toJSON.call(value), depth + 1)
  // fromEntries defines members, so one that is named __proto__ stays a member.
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [redact(name), copyOf(each, depth + 1)]))
}

/**
 * The secret as it is, escaped for JSON once and twice, quoted by `util.inspect`, in URLs, in an
 * error of Redis (without line breaks), in hex and in base64.
 */
function formsOf(secret: string): Set<string> {
  const json = (text: string) => JSON.stringify(text).slice(1, -1)
  const urls = [encodeURIComponent(secret), encodeURI(secret), formEncoded(secret), inUrl(secret)]
  const lower = urls.map((each) => each.replace(/%[0-9A-F]{2}/g, (byte) => byte.toLowerCase()))
  const plain = [secret, secret.replace(/[\r\n]/g, ' '), ...urls, ...lower]
  const escaped = [...plain, ...plain.map((each) => each.replaceAll("'", "\\'"))]
  const bytes = Buffer.from(secret)
  const encoded = [...base64Of(bytes), bytes.toString('hex'), bytes.toString('hex').toUpperCase()]
  // `util.inspect` escapes control characters as JSON does, and only the quotes that it chose.
  const inspected = escaped.map((each) => json(each).replaceAll('\\"', '"'))
  const written = [...escaped, ...inspected, ...escaped.map(json), ...escaped.map(json).map(ascii)]
  return new Set([...written, ...written.map(json), ...encoded])
}

/**
 * The base64 of the secret, and what all texts that contain it have in common in base64, as
 * `user:password` of the header of basic authentication has: three alignments of three bytes.
 */
function base64Of(bytes: Buffer): string[] {
  const forms: string[] = []
  for (const encoding of ['base64', 'base64url'] as const) {
    const whole = bytes.toString(encoding)
    forms.push(whole, whole.replace(/=+$/, ''))
    if (bytes.length < MIN_WITHIN_BASE64) continue
    for (const before of [0, 1, 2]) {
      const text = Buffer.concat([Buffer.alloc(before), bytes]).toString(encoding)
      // Six bits a character: the first and the last one may hold bits of their neighbours.
      forms.push(text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6)))
    }
  }
  return forms
}

/** JSON of encoders that write ASCII only. */
const ascii = (text: string): string =>
  text.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)

const formEncoded = (text: string): string => new URLSearchParams({ x: text }).toString().slice('x='.length)

/** How a URL spells the secret as its password. */
function inUrl(text: string): string {
  const url = new URL('http://user@host')
  url.password = text
  return url.password
}

const escapeRegExp = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&')
