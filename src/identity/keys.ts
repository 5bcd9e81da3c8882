import { createHash, createPublicKey, createSecretKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { secretList } from '../config/strength.ts'
import { printable } from '../platform/printable.ts'
import { reasonOf } from '../platform/reason.ts'

/** The signatures that the gateway checks. Each key has exactly one of them. */
export type Algorithm = 'HS256' | 'RS256' | 'ES256' | 'EdDSA'

/** A key that checks signatures. */
export interface VerificationKey {
  readonly algorithm: Algorithm
  /** Its `kid`. Undefined: a secret, or a key of a set that names none. */
  readonly id: string | undefined
  readonly key: KeyObject
  /** Differs between two keys, and is the same whenever a key is read again. */
  readonly fingerprint: string
}

/** The usable keys of a JWKS, and one line for each key that was left out. */
export interface KeySet {
  readonly keys: readonly VerificationKey[]
  readonly skipped: readonly string[]
}

export const MAX_KEY_SET_BYTES = 256 * 1024
const MAX_KEYS = 50
const MIN_RSA_BITS = 2048
/** RFC 7518 asks for a secret as long as the hash. */
const MIN_SECRET_BYTES = 32
/** The members that only a private key or a secret has. */
const PRIVATE = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

/**
 * Makes the keys of a list of secrets, which are separated by white space. @throws Error for a
 * secret of fewer than 32 bytes.
 */
export function secretKeys(secrets: string): VerificationKey[] {
  return secretList(secrets).map((text, index) => {
    const bytes = Buffer.from(text)
    if (bytes.length < MIN_SECRET_BYTES)
      throw new Error(`secret ${index + 1} has ${bytes.length} bytes; HS256 needs at least ${MIN_SECRET_BYTES}`)
    return { algorithm: 'HS256', id: undefined, key: createSecretKey(bytes), fingerprint: fingerprintOf(bytes) }
  })
}

/**
 * Reads a JWKS (RFC 7517). A key of another kind is left out, since providers publish such keys
 * beside those for signatures. @throws Error when the document is no JWKS, holds a private key or a
 * secret, or has no usable key.
 */
export function keySetOf(document: string): KeySet {
  if (Buffer.byteLength(document) > MAX_KEY_SET_BYTES)
    throw new Error(`the key set has more than ${MAX_KEY_SET_BYTES} bytes`)
  const entries = entriesOf(document)
  if (entries.length > MAX_KEYS) throw new Error(`the key set has ${entries.length} keys; at most ${MAX_KEYS} are read`)
  const keys: VerificationKey[] = []
  const skipped: string[] = []
  entries.forEach((entry, index) => {
    const name = `key ${index + 1}${typeof entry.kid === 'string' ? ` (${printable(entry.kid.slice(0, 100))})` : ''}`
    const secret = PRIVATE.find((member) => Object.hasOwn(entry, member))
    // The set must be public, so each reader of it can sign now.
    if (secret !== undefined) throw new Error(`${name} has the private member "${secret}": publish public keys only`)
    try {
      keys.push(keyOf(entry))
    } catch (error) {
      skipped.push(`${name}: ${reasonOf(error)}`)
    }
  })
  if (keys.length === 0) throw new Error(`the key set has no usable key. ${skipped.join('; ')}`.trim())
  return { keys, skipped }
}

function entriesOf(document: string): Record<string, unknown>[] {
  let value: unknown
  try {
    value = JSON.parse(document)
  } catch {
    throw new Error('the key set is not JSON')
  }
  const entries = isObject(value) ? value.keys : undefined
  if (!Array.isArray(entries) || !entries.every(isObject)) throw new Error('the key set has no list "keys" of objects')
  return entries
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** @throws Error that says why the key is not usable here. */
function keyOf(entry: Record<string, unknown>): VerificationKey {
  const { kid, use, alg } = entry
  if (kid !== undefined && typeof kid !== 'string') throw new Error('its kid is no text')
  if (use !== undefined && use !== 'sig') throw new Error('its use is not "sig"')
  const algorithm = algorithmOf(entry)
  const isNamed = alg === undefined || alg === algorithm || (alg === 'Ed25519' && algorithm === 'EdDSA')
  if (!isNamed) throw new Error(`its alg is not ${algorithm}`)
  const key = createPublicKey({ key: entry as JsonWebKey, format: 'jwk' })
  const bits = key.asymmetricKeyDetails?.modulusLength ?? MIN_RSA_BITS
  if (bits < MIN_RSA_BITS) throw new Error(`it has ${bits} bits; RSA needs at least ${MIN_RSA_BITS}`)
  return { algorithm, id: kid, key, fingerprint: fingerprintOf(key.export({ type: 'spki', format: 'der' })) }
}

/** 96 bits of the hash: it goes into tickets, and shows nothing of a secret of 32 bytes. */
const fingerprintOf = (material: Buffer): string =>
  createHash('sha256').update(material).digest('base64url').slice(0, 16)

function algorithmOf({ kty, crv }: Record<string, unknown>): Algorithm {
  if (kty === 'RSA') return 'RS256'
  if (kty === 'EC' && crv === 'P-256') return 'ES256'
  if (kty === 'OKP' && crv === 'Ed25519') return 'EdDSA'
  throw new Error('its kind is not RSA, P-256 or Ed25519')
}
