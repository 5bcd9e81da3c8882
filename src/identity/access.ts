import { createHmac, hkdfSync, randomUUID } from 'node:crypto'
import { secretList } from '../config/strength.ts'
import type { Role } from '../contract/roles.ts'
import { roleNamed } from '../contract/roles.ts'
import type { Identity } from './claims.ts'
import { secretKeys } from './keys.ts'
import { JwtVerifier, type RejectedToken } from './verifier.ts'

/** `iss` and `aud` of the tokens that the gateway signs itself. */
const NAME = 'wsproxy'
const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
/** How each of them begins. Their key is derived, so no other JWT passes for one. */
const HEADER = `${encode({ alg: 'HS256', typ: 'wsproxy-access+jwt' })}.`

/** A user as the access token of its login shows it. */
export interface Access extends Identity {
  readonly subject: string
  readonly sid: string
  readonly role: Role
}

/**
 * Derives the keys of a purpose from the secrets of AUTH_JWT_SECRET: what signs tokens of an
 * application must not sign those of the gateway.
 */
export const derivedKeys = (secrets: string, purpose: string): Buffer[] =>
  secretList(secrets).map((secret) => Buffer.from(hkdfSync('sha256', secret, '', `wsproxy ${purpose}`, 32)))

/** Signs and verifies the access tokens of logins. */
export class AccessTokens {
  readonly #keys: readonly string[]
  readonly #verifier: JwtVerifier
  readonly ttlS: number

  /** @param secrets those of AUTH_JWT_SECRET: the first signs, each verifies. */
  constructor(secrets: string, ttlMs: number, skewMs: number) {
    this.#keys = derivedKeys(secrets, 'access').map((key) => key.toString('hex'))
    const keys = secretKeys(this.#keys.join(' '))
    this.#verifier = new JwtVerifier({ audiences: [NAME], issuers: [NAME], skewMs }, keys)
    this.ttlS = Math.floor(ttlMs / 1000)
  }

  /** @param nowMs ms since the epoch. */
  sign(user: string, role: Role, sid: string, nowMs: number): string {
    const iat = Math.floor(nowMs / 1000)
    const claims = { iss: NAME, aud: NAME, sub: user, role, sid, jti: randomUUID(), iat, exp: iat + this.ttlS }
    const input = HEADER + encode(claims)
    return `${input}.${createHmac('sha256', this.#keys[0]!).update(input).digest('base64url')}`
  }

  /** Whether a token says that the gateway has signed it. */
  isOwn(token: string): boolean {
    return token.startsWith(HEADER)
  }

  /** Whether the key with this fingerprint is one of these. */
  knows(signedBy: string): boolean {
    return this.#verifier.knows(signedBy)
  }

  verify(token: string, nowMs: number): Access | RejectedToken {
    if (!this.isOwn(token)) return { fault: 'malformed', why: 'it is no access token of a login' }
    const identity = this.#verifier.verify(token, nowMs)
    if ('fault' in identity) return identity
    const { role: name } = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as { role?: unknown }
    const role = roleNamed(String(name))
    const { subject, sid } = identity
    if (role === undefined || subject === undefined || sid === undefined)
      return { fault: 'claims', why: 'it has no role, sub or sid' }
    return { ...identity, subject, sid, role }
  }
}
