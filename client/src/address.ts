/** Returns a text. Throws without one: a dial to `/undefined` would only be refused. */
function needed(name: string, text: unknown): string {
  if (text && typeof text === 'string') return text
  throw new Error(`${name} is missing`)
}

/** The address of a gateway, http or ws, as one of WebSockets without a slash at its end. */
export const socketBase = (base: string | URL): string =>
  needed('base', base && String(base))
    .replace(/^http/, 'ws')
    .replace(/\/$/, '')

/** An id as a segment of a path. */
export const segment = (name: string, id: string): string => encodeURIComponent(needed(name, id))

/** Text as base64url, without padding. */
export const base64url = (text: string): string => {
  const binary = String.fromCharCode(...new TextEncoder().encode(text))
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}
