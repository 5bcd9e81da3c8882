import { createHash, createHmac, randomBytes } from 'node:crypto'

/** A login in hexadecimal, and 256 bits. */
const TOKEN = /^rt_([0-9a-f]{32})_[A-Za-z0-9_-]{43}$/
/** All tokens of a family begin with these characters. */
const FAMILY_LENGTH = 'rt_'.length + 32 + '_'.length
/** A family has at most so many tokens that were used within the grace. */
const MAX_STEPS = 5

/** A refresh token that came, and what it belongs to. */
export interface RefreshToken {
  readonly token: string
  /** The `sid` of its login. The token does not follow from it. */
  readonly sid: string
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/** What is stored of a refresh token. */
export const hashOf = (token: string): string => sha256(token)

/** Returns undefined when the text cannot be a refresh token. */
export function readRefreshToken(text: string): RefreshToken | undefined {
  const [, family] = TOKEN.exec(text) ?? []
  return family === undefined ? undefined : { token: text, sid: sha256(family).slice(0, 32) }
}

/** The first token of a new login. */
export function newRefreshToken(): RefreshToken {
  const token = `rt_${randomBytes(16).toString('hex')}_${randomBytes(32).toString('base64url')}`
  return readRefreshToken(token)!
}

/**
 * The token that follows one. It is computed, so that it can be given again without being stored.
 */
export const successorOf = (token: string, key: Buffer): string =>
  token.slice(0, FAMILY_LENGTH) + createHmac('sha256', key).update(token).digest('base64url')

/** The newest token of a family, whose hash is known, from one of those before it. */
export function newestFrom(token: string, keys: readonly Buffer[], hash: string): string | undefined {
  let tokens = [token]
  for (let step = 0; step < MAX_STEPS; step++) {
    tokens = tokens.flatMap((each) => keys.map((key) => successorOf(each, key)))
    const found = tokens.find((each) => hashOf(each) === hash)
    if (found !== undefined) return found
  }
  return undefined
}
