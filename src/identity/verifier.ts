import { isUtf8 } from 'node:buffer'
import { createHmac, hash as hashOnce, type KeyObject, timingSafeEqual } from 'node:crypto'
import { createVerifier } from 'fast-jwt'
import { lastOf, membersOf, type Names, namesOf } from '../platform/json-members.ts'
import { jsonFault } from '../platform/json-scan.ts'
import { CLAIMS, type ClaimRules, hasExpired, type Identity, identityOf, isTooEarly } from './claims.ts'
import type { Algorithm, VerificationKey } from './keys.ts'

/**
 * `unknown-key`: no key has the `kid` and the algorithm of the token, or the only key for it has no
 * `kid` and did not sign it. `algorithm`: no key set can hold its key. `malformed`: the token is
 * refused before its signature is checked, or repeats a claim.
 */
type Fault = 'malformed' | 'algorithm' | 'unknown-key' | 'signature' | 'claims' | 'expired' | 'too-early'

/** Why a token is refused. `why` is for the log: it holds no part of the token. */
export interface RejectedToken {
  readonly fault: Fault
  readonly why: string
}

/** Fetches keys when a token names one that is not known. */
export interface KeySource {
  moreKeys(): Promise<void> | undefined
  readonly isAway: boolean
  readonly ageMs: number | undefined
  readonly reason: string | undefined
  readonly skewMs: number | undefined
  readonly fetches: Readonly<Record<'ok' | 'failed', number>>
}

/** What is read of the header of a token. */
interface Header {
  readonly alg: unknown
  readonly kid: string | undefined
}

interface Verifier extends VerificationKey {
  /**
   * Returns the claims; `body` is the decoded payload. @throws when the signature is not that of the
   * key.
   */
  readonly claims: (token: string, body: Buffer) => Record<string, unknown>
}

/** The header lines of a request have no room for more. */
const MAX_TOKEN_BYTES = 16 * 1024
const MAX_DEPTH = 32
/** Verified tokens that are kept, so that clients that reconnect cost a hash each. */
const MAX_CACHED = 5000
/** A longer token is verified each time, so that the cache has at most some 10 MiB. */
const MAX_CACHED_BYTES = 2048

/** Headers that are kept, and the longest of them. */
const MAX_HEADERS = 100
const MAX_HEADER_LENGTH = 512

const NOT_CANONICAL = 'a part is not canonical base64url'
const HEADER = namesOf('alg', 'kid', 'crit', 'b64')

const SET_ALGORITHMS: ReadonlySet<unknown> = new Set<Algorithm>(['RS256', 'ES256', 'EdDSA'])

const isJwt = (token: string): boolean => /^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)

/**
 * Verifies JWTs. Each key has a verifier of its own, made from key material that `node:crypto` has
 * parsed and pinned to the one algorithm of the key: a token cannot choose how its key is used.
 */
export class JwtVerifier {
  readonly #rules: ClaimRules
  readonly #claimNames: Names
  #verifiers: readonly Verifier[] = []
  readonly #headers = new Map<string, Header>()
  /** By the SHA-256 of the token: those of late, and those before them. */
  #young = new Map<string, Identity>()
  #old = new Map<string, Identity>()

  constructor(rules: ClaimRules, keys: readonly VerificationKey[]) {
    this.#rules = rules
    const { roleClaim } = rules
    this.#claimNames = namesOf(...new Set(roleClaim === undefined ? CLAIMS : [...CLAIMS, roleClaim]))
    this.use(keys)
  }

  /** Where keys come from that are not known yet. Undefined: there are no others. */
  source: KeySource | undefined

  knows(signedBy: string): boolean {
    return this.#verifiers.some(({ fingerprint }) => fingerprint === signedBy)
  }

  moreKeys(): Promise<void> | undefined {
    return this.source?.moreKeys()
  }

  get isAway(): boolean {
    return this.source?.isAway === true
  }

  /** Replaces the keys. What the former keys verified does not count any more. */
  use(keys: readonly VerificationKey[]): void {
    this.#verifiers = keys.map(verifierOf)
    this.#young.clear()
    this.#old.clear()
    // An attacker may have filled it with headers of its own.
    this.#headers.clear()
  }

  /** Whether a bearer token has the form of a JWT. */
  looksLikeJwt(token: string): boolean {
    return isJwt(token)
  }

  /** @param nowMs ms since the epoch. */
  verify(token: string, nowMs = Date.now()): Identity | RejectedToken {
    if (token.length > MAX_TOKEN_BYTES) return malformed(`it has more than ${MAX_TOKEN_BYTES} bytes`)
    const isKept = token.length <= MAX_CACHED_BYTES
    const hash = isKept ? hashOnce('sha256', token, 'base64') : ''
    const cached = isKept ? (this.#young.get(hash) ?? this.#old.get(hash)) : undefined
    const identity = cached ?? this.#verifyAnew(token)
    if ('fault' in identity) return identity
    if (hasExpired(identity, this.#rules, nowMs)) return { fault: 'expired', why: 'its exp has passed' }
    if (isTooEarly(identity, this.#rules, nowMs)) return { fault: 'too-early', why: 'its nbf is in the future' }
    if (isKept) this.#keep(hash, identity)
    return identity
  }

  #keep(hash: string, identity: Identity): void {
    // A map from which the oldest entry is taken again and again searches for it ever longer.
    if (this.#young.size >= MAX_CACHED / 2) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(hash, identity)
  }

  #verifyAnew(token: string): Identity | RejectedToken {
    if (!isJwt(token)) return malformed('it has not three parts in base64url')
    const [head = '', payload = '', signature = ''] = token.split('.')
    const header = this.#headers.get(head) ?? this.#headerOf(head)
    if ('fault' in header) return header
    const body = Buffer.from(payload, 'base64url')
    const fault = isCanonical(signature) ? faultIn(payload, body, this.#claimNames, 'payload') : NOT_CANONICAL
    if (fault !== undefined) return malformed(fault)
    const { alg, kid } = header
    const candidates = this.#candidates(alg, kid)
    const isOfSet = SET_ALGORITHMS.has(alg)
    if (candidates.length === 0)
      return { fault: isOfSet ? 'unknown-key' : 'algorithm', why: 'no key has its kid and alg' }
    for (const { claims, fingerprint } of candidates) {
      const verified = claimsOf(claims, token, body)
      if (verified === undefined) continue
      const identity = identityOf(verified, this.#rules, fingerprint)
      return typeof identity === 'string' ? { fault: 'claims', why: identity } : identity
    }
    // A set may replace a key that has no kid.
    const isUnknown = isOfSet && candidates.every(({ id }) => id === undefined)
    return { fault: isUnknown ? 'unknown-key' : 'signature', why: 'its signature is wrong' }
  }

  /** Reads a header, and keeps it: the tokens of one signer share theirs. */
  #headerOf(text: string): Header | RejectedToken {
    const bytes = Buffer.from(text, 'base64url')
    const fault = faultIn(text, bytes, HEADER, 'header')
    if (fault !== undefined) return malformed(fault)
    const { alg, kid, crit, b64 } = JSON.parse(bytes.toString()) as Record<string, unknown>
    if (crit !== undefined || b64 !== undefined) return malformed('its header has crit or b64')
    if (kid !== undefined && typeof kid !== 'string') return malformed('its kid is no text')
    const header = { alg, kid }
    if (this.#headers.size < MAX_HEADERS && text.length <= MAX_HEADER_LENGTH) this.#headers.set(text, header)
    return header
  }

  /**
   * The keys that may have signed a token: those with its `kid`, else those without one. Several
   * keys of a set are not tried in turn: a token that names none of them is refused.
   */
  #candidates(alg: unknown, kid: string | undefined): readonly Verifier[] {
    const ofAlgorithm = this.#verifiers.filter(({ algorithm }) => algorithm === alg)
    if (alg === 'HS256') return ofAlgorithm
    if (kid === undefined) return ofAlgorithm.length === 1 ? ofAlgorithm : []
    const named = ofAlgorithm.filter(({ id }) => id === kid)
    return named.length > 0 ? named : ofAlgorithm.filter(({ id }) => id === undefined).slice(0, 1)
  }
}

const malformed = (why: string): RejectedToken => ({ fault: 'malformed', why })

/** Whether decoding and encoding gives the same text: each token has one form only. */
const isCanonical = (part: string): boolean => Buffer.from(part, 'base64url').toString('base64url') === part

/** Returns why a part, which was decoded to these bytes, is not an object of JSON with each of these members at most once. */
function faultIn(part: string, bytes: Buffer, names: Names, name: string): string | undefined {
  if (bytes.toString('base64url') !== part) return NOT_CANONICAL
  if (!isUtf8(bytes) || jsonFault(bytes, MAX_DEPTH) !== undefined) return `its ${name} is not JSON`
  const members = membersOf(bytes, names)
  if (members === undefined) return `its ${name} is not an object`
  const repeated = members.found.find((member) => lastOf(members, member.name) !== member)
  return repeated && `its ${name} repeats ${repeated.name}`
}

function claimsOf(claims: Verifier['claims'], token: string, body: Buffer): Record<string, unknown> | undefined {
  try {
    return claims(token, body)
  } catch {
    return undefined
  }
}

/**
 * The claims are checked in one place, by `identityOf`, so the library checks the signature only.
 */
function verifierOf({ algorithm, id, key, fingerprint }: VerificationKey): Verifier {
  if (algorithm === 'HS256')
    return { algorithm, id, key, fingerprint, claims: (token, body) => claimsByMac(token, body, key) }
  const material = key.export({ type: 'spki', format: 'pem' })
  const verifier = createVerifier({
    key: material,
    algorithms: [algorithm],
    cache: false,
    ignoreExpiration: true,
    ignoreNotBefore: true,
  })
  return { algorithm, id, key, fingerprint, claims: (token) => verifier(token) as Record<string, unknown> }
}

/**
 * The library parses header and payload once more, which costs as much as the HMAC itself. A token
 * of HS256 is the cheapest there is, so it is compared here. @throws when the MAC is another one.
 */
function claimsByMac(token: string, body: Buffer, key: KeyObject): Record<string, unknown> {
  const end = token.lastIndexOf('.')
  const mac = createHmac('sha256', key).update(token.slice(0, end)).digest()
  const given = Buffer.from(token.slice(end + 1), 'base64url')
  if (given.length !== mac.length || !timingSafeEqual(given, mac)) throw new Error('another MAC')
  return JSON.parse(body.toString()) as Record<string, unknown>
}
