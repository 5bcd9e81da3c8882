import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { describe, it } from 'node:test'
import { keySetOf, secretKeys } from '../../src/identity/keys.ts'

const jwk = (key: KeyObject, more: object = {}) => ({ ...key.export({ format: 'jwk' }), ...more })
const rsa = (modulusLength: number) => generateKeyPairSync('rsa', { modulusLength })
const curve = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve })
const ed = generateKeyPairSync('ed25519')
const setOf = (...keys: unknown[]) => keySetOf(JSON.stringify({ keys }))

describe('the keys of a JWKS', () => {
  it('are RSA, P-256 and Ed25519, each with its one algorithm', () => {
    const { keys, skipped } = setOf(
      jwk(rsa(2048).publicKey, { kid: 'a', use: 'sig', alg: 'RS256' }),
      jwk(curve('P-256').publicKey, { kid: 'b' }),
      jwk(ed.publicKey, { kid: 'c', alg: 'Ed25519' }),
    )
    assert.deepEqual(
      keys.map(({ id, algorithm }) => [id, algorithm]),
      [
        ['a', 'RS256'],
        ['b', 'ES256'],
        ['c', 'EdDSA'],
      ],
    )
    assert.deepEqual(skipped, [])
  })

  it('leave out what is of another kind, and say so', () => {
    const { keys, skipped } = setOf(
      jwk(ed.publicKey, { kid: 'good' }),
      jwk(rsa(1024).publicKey, { kid: 'short' }),
      jwk(curve('P-384').publicKey),
      jwk(rsa(2048).publicKey, { use: 'enc' }),
      jwk(rsa(2048).publicKey, { alg: 'PS256' }),
      { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' },
    )
    assert.equal(keys.length, 1)
    assert.equal(skipped.length, 5)
    assert.match(skipped[0]!, /^key 2 \(short\): it has 1024 bits; RSA needs at least 2048$/)
  })

  it('are refused with a private key or a secret among them', () => {
    assert.throws(() => setOf(jwk(ed.publicKey), jwk(ed.privateKey)), /key 2 has the private member "d"/)
    assert.throws(() => setOf(jwk(rsa(2048).privateKey)), /publish public keys only/)
    assert.throws(() => setOf({ kty: 'oct', k: 'c2VjcmV0' }), /the private member "k"/)
  })

  it('are refused when the document is no set, is too large or has none that is usable', () => {
    for (const text of ['', '[]', '{}', '{"keys":{}}', '{"keys":[1]}', '{"keys":[null]}', '<html>'])
      assert.throws(() => keySetOf(text), /the key set/, text)
    assert.throws(() => keySetOf('{"keys":[]}'), /no usable key/)
    assert.throws(() => keySetOf(' '.repeat(10 * 1024 * 1024)), /more than 262144 bytes/)
    assert.throws(() => setOf(...Array(51).fill(jwk(ed.publicKey))), /51 keys; at most 50/)
  })
})

describe('the secrets of HS256', () => {
  it('are separated by white space, and have at least 32 bytes each', () => {
    assert.equal(secretKeys(`${'a'.repeat(32)} \n${'b'.repeat(40)}\n`).length, 2)
    assert.throws(() => secretKeys(`${'a'.repeat(32)} short`), /secret 2 has 5 bytes; HS256 needs at least 32/)
  })
})
