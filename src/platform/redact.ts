/** Keeps known secrets out of the log and of every printed error. */

const MASK = '***'
/** Shorter texts are part of too many words to be replaced. */
const MIN_LENGTH = 4

const known = new Set<string>()
let pattern: RegExp | undefined

/** Adds secrets to those that `redact` replaces, in every form that this program writes. */
export function protect(secrets: Iterable<string>): void {
  for (const secret of secrets) {
    const raw = secret.trim()
    if (raw.length < MIN_LENGTH) continue
    for (const form of formsOf(raw)) if (form.length >= MIN_LENGTH) known.add(form)
  }
  // The longest first: of two secrets, one may be how the other begins.
  const forms = [...known].sort((a, b) => b.length - a.length)
  pattern = forms.length === 0 ? undefined : new RegExp(forms.map(escapeRegExp).join('|'), 'g')
}

/** Returns the text with each known secret replaced by `***`. */
export const redact = (text: string): string => (pattern === undefined ? text : text.replace(pattern, MASK))

/**
 * The secret as it is, escaped for JSON once and twice, quoted by `util.inspect`, in URLs, and in
 * base64.
 */
function formsOf(secret: string): Set<string> {
  const json = (text: string) => JSON.stringify(text).slice(1, -1)
  const plain = [secret, encodeURIComponent(secret), encodeURI(secret), formEncoded(secret), inUrl(secret)]
  const escaped = [...plain, ...plain.map((each) => each.replaceAll("'", "\\'"))]
  const bytes = Buffer.from(secret)
  const encoded = [bytes.toString('base64'), bytes.toString('base64url'), bytes.toString('hex')]
  // `util.inspect` escapes control characters as JSON does, and only the quotes that it chose.
  const inspected = escaped.map((each) => json(each).replaceAll('\\"', '"'))
  const written = [...escaped, ...inspected, ...escaped.map(json)]
  return new Set([...written, ...written.map(json), ...encoded])
}

const formEncoded = (text: string): string => new URLSearchParams({ x: text }).toString().slice('x='.length)

/** How a URL spells the secret as its password. */
function inUrl(text: string): string {
  const url = new URL('http://user@host')
  url.password = text
  return url.password
}

const escapeRegExp = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&')
