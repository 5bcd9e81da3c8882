/** The address of a gateway, http or ws, as one of WebSockets without a slash at its end. */
export const socketBase = (base: string | URL): string => String(base).replace(/^http/, 'ws').replace(/\/$/, '')

/** Text as base64url, without padding. */
export const base64url = (text: string): string => {
  const binary = String.fromCharCode(...new TextEncoder().encode(text))
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}
