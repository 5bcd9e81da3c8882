import { createHmac, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { type Algorithm, keySetOf, secretKeys, type VerificationKey } from '../../src/identity/keys.ts'

/** A key that signs tokens, and what the gateway and the oracle verify them with. */
export interface Signer {
  readonly algorithm: Algorithm
  readonly id: string
  readonly verification: VerificationKey
  /** The public key as PEM and as JWK: what an attacker tries as an HMAC secret. */
  readonly exposed: readonly Buffer[]
  sign(input: string): Buffer
}

export const encode = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

function pair(
  algorithm: Algorithm,
  { publicKey, privateKey }: { publicKey: KeyObject; privateKey: KeyObject },
): Signer {
  const id = `key-${algorithm}`
  const jwk = JSON.stringify({ ...publicKey.export({ format: 'jwk' }), kid: id })
  const [verification] = keySetOf(`{"keys":[${jwk}]}`).keys
  const dsaEncoding = 'ieee-p1363'
  return {
    algorithm,
    id,
    verification: verification!,
    exposed: [Buffer.from(publicKey.export({ type: 'spki', format: 'pem' })), Buffer.from(jwk)],
    sign: (input) =>
      sign(algorithm === 'EdDSA' ? null : 'sha256', Buffer.from(input), { key: privateKey, dsaEncoding }),
  }
}

export const secretSigner = (secret: string): Signer => ({
  algorithm: 'HS256',
  id: 'key-HS256',
  verification: secretKeys(secret)[0]!,
  exposed: [],
  sign: (input) => createHmac('sha256', secret).update(input).digest(),
})

/** A new key of each algorithm. */
export function newSigners(): Signer[] {
  return [
    secretSigner(randomBytes(24).toString('hex')),
    pair('RS256', generateKeyPairSync('rsa', { modulusLength: 2048 })),
    pair('ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' })),
    pair('EdDSA', generateKeyPairSync('ed25519')),
  ]
}

/** A token of these parts. Texts stand as they are, objects as JSON. */
export function tokenOf(signer: Signer, claims: unknown, header: unknown = { alg: signer.algorithm, kid: signer.id }) {
  const input = `${encode(header)}.${encode(claims)}`
  return `${input}.${signer.sign(input).toString('base64url')}`
}

export const hmac = (secret: Buffer, input: string): string =>
  createHmac('sha256', secret).update(input).digest('base64url')
