import { revokedSid, revokedSubject, revokedTokenId } from './names.ts'

/** What a revocation names: one token, all of a user, or all of a login. */
export const REVOCATION_KINDS = ['jti', 'sub', 'sid'] as const

/** JWTs that an operator revokes. */
export interface TokenRevocation {
  readonly by: (typeof REVOCATION_KINDS)[number]
  readonly value: string
  /** For a `sub`: tokens whose `iat` is later stay valid. In ms since the epoch. */
  readonly before: number
  /** How long the revocation is kept. */
  readonly lifeMs: number
}

const MAX_VALUE = 256

/** Returns the revocation in a value from outside, or undefined for any other value. */
export function revocationIn(fields: Readonly<Record<string, unknown>>): TokenRevocation | undefined {
  const { value, before, lifeMs } = fields
  const by = REVOCATION_KINDS.find((kind) => kind === fields.by)
  if (by === undefined || typeof value !== 'string' || value === '' || value.length > MAX_VALUE) return undefined
  if (!Number.isSafeInteger(before) || !Number.isSafeInteger(lifeMs)) return undefined
  // Half a pair of UTF-16 would come back from Redis as another text.
  if (Buffer.from(value).toString() !== value) return undefined
  return { by, value, before: before as number, lifeMs: lifeMs as number }
}

const NAMES = { jti: revokedTokenId, sub: revokedSubject, sid: revokedSid }

/** The entry of the revoked set that says the same. */
export const entryOf = ({ by, value, before }: TokenRevocation): string =>
  by === 'sub' ? `${NAMES.sub(value)}:${before}` : NAMES[by](value)
