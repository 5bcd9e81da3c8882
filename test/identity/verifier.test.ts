import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ClaimRules } from '../../src/identity/claims.ts'
import { secretKeys } from '../../src/identity/keys.ts'
import { JwtVerifier } from '../../src/identity/verifier.ts'
import { encode, hmac, newSigners, tokenOf } from '../support/tokens.ts'

const RULES: ClaimRules = { audiences: [], issuers: [], skewMs: 30_000 }
const NOW = 1_800_000_000

const signers = newSigners()
const verifierFor = (rules: Partial<ClaimRules> = {}) =>
  new JwtVerifier(
    { ...RULES, ...rules },
    signers.map(({ verification }) => verification),
  )
const [hs] = signers

/** 'ok', or the fault of the token. */
function outcome(token: string, verifier = verifierFor(), now = NOW): string {
  const verdict = verifier.verify(token, now * 1000)
  return 'fault' in verdict ? verdict.fault : 'ok'
}

describe('the verifier of JWTs', () => {
  it('accepts a token of each key, and reads its claims', () => {
    for (const signer of signers) {
      const claims = {
        sub: 'u1',
        jti: 't1',
        sid: 'l1',
        iat: NOW,
        session_id: ['s1', 's2'],
        run_id: 'r1',
        topics: ['build.*'],
        publish_topics: 'build.*',
        up: false,
        exp: NOW + 60,
      }
      const verdict = verifierFor().verify(tokenOf(signer, claims), NOW * 1000)
      const signedBy = 'fault' in verdict ? '' : verdict.signedBy
      assert.notEqual(signedBy, '')
      assert.deepEqual(verdict, {
        signedBy,
        subject: 'u1',
        tokenId: 't1',
        sid: 'l1',
        sessions: ['s1', 's2'],
        agent: undefined,
        role: undefined,
        runs: ['r1'],
        topics: ['build.*'],
        publishTopics: [],
        publishes: false,
        appends: false,
        issuedAt: NOW,
        expiresAt: NOW + 60,
        notBefore: undefined,
      })
    }
  })

  it('accepts a token without exp and kid, as the Rust wsproxy makes it', () => {
    assert.equal(outcome(tokenOf(hs!, { session_id: 's1', iat: NOW }, { alg: 'HS256', typ: 'JWT' })), 'ok')
  })

  it('tries every secret of the list, and no token of a secret that has left it', () => {
    const [old, next] = ['o'.repeat(32), 'n'.repeat(32)]
    const input = `${encode({ alg: 'HS256' })}.${encode({ sub: 'u1' })}`
    const [ofOld, ofNext] = [old, next].map((secret) => `${input}.${hmac(Buffer.from(secret), input)}`)
    const verifier = new JwtVerifier(RULES, secretKeys(`${next}\n${old}`))
    assert.deepEqual([outcome(ofOld!, verifier), outcome(ofNext!, verifier)], ['ok', 'ok'])
    verifier.use(secretKeys(next))
    assert.deepEqual([outcome(ofOld!, verifier), outcome(ofNext!, verifier)], ['signature', 'ok'])
  })

  it('allows the clocks to differ by the skew, for cached tokens too', () => {
    const verifier = verifierFor()
    const token = tokenOf(hs!, { exp: NOW, nbf: NOW - 100 })
    const at = (now: number) => outcome(token, verifier, now)
    assert.deepEqual(
      [at(NOW), at(NOW + 29), at(NOW + 30), at(NOW - 130), at(NOW - 131), at(NOW)],
      [...['ok', 'ok', 'expired', 'ok', 'too-early', 'ok']],
    )
  })

  it('asks for an audience and an issuer where they are set', () => {
    const verifier = verifierFor({ audiences: ['chat', 'desk'], issuers: ['https://id.example.org'] })
    const check = (claims: object) => outcome(tokenOf(hs!, claims), verifier)
    const iss = 'https://id.example.org'
    assert.equal(check({ iss, aud: 'desk' }), 'ok')
    assert.equal(check({ iss, aud: ['other', 'chat'] }), 'ok')
    for (const claims of [{ iss }, { aud: 'chat' }, { iss: 'x', aud: 'chat' }, { iss, aud: 'chat.' }, { iss, aud: [] }])
      assert.equal(check(claims), 'claims', JSON.stringify(claims))
  })

  it('refuses claims of a wrong type', () => {
    const wrong = [{ exp: '9' }, { exp: null }, { nbf: [] }, { iat: {} }, { session_id: 1 }, { session_id: ['a', 1] }]
    for (const claims of [...wrong, { up: 'false' }, { up: 0 }, { topics: {} }, { sub: 1 }, { run_id: null }])
      assert.equal(outcome(tokenOf(hs!, claims)), 'claims', JSON.stringify(claims))
    assert.equal(outcome(tokenOf(hs!, '{"exp":1e999}')), 'claims')
  })

  it('refuses a member that stands twice, also with an escaped name', () => {
    for (const claims of ['{"exp":1,"exp":9999999999}', '{"session_id":"a","session_\\u0069d":"b"}'])
      assert.equal(outcome(tokenOf(hs!, claims)), 'malformed', claims)
    assert.equal(outcome(tokenOf(hs!, {}, '{"alg":"none","alg":"HS256"}')), 'malformed')
  })

  it('refuses crit, b64, other forms of base64 and more than 16 KiB', () => {
    assert.equal(outcome(tokenOf(hs!, {}, { alg: 'HS256', crit: ['exp'] })), 'malformed')
    assert.equal(outcome(tokenOf(hs!, {}, { alg: 'HS256', b64: false })), 'malformed')
    const token = tokenOf(hs!, { sub: 'u1' })
    for (const other of [`${token}=`, ` ${token}`, token.replace('.', '..'), `${token}.`, `${token}\n`, ''])
      assert.equal(outcome(other), 'malformed', other)
    // 32 bytes leave two bits in the last character that mean nothing.
    const last = token.at(-1)!
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    assert.equal(outcome(token.slice(0, -1) + alphabet[alphabet.indexOf(last) ^ 1]), 'malformed')
    assert.equal(outcome(tokenOf(hs!, { sub: 'x'.repeat(10_000) })), 'ok')
    assert.equal(outcome(tokenOf(hs!, { sub: 'x'.repeat(13_000) })), 'malformed')
  })

  it('accepts no algorithm with the key of another, in all pairs', () => {
    for (const signer of signers)
      for (const other of [...signers.map(({ algorithm }) => algorithm), 'none', 'None', 'HS512', 'RS512', 'PS256']) {
        if (other === signer.algorithm) continue
        for (const kid of [undefined, signer.id, `key-${other}`]) {
          const header = { alg: other, ...(kid !== undefined && { kid }) }
          assert.notEqual(outcome(tokenOf(signer, { sub: 'u1' }, header)), 'ok', `${signer.algorithm} as ${other}`)
          const input = `${encode(header)}.${encode({ sub: 'u1' })}`
          assert.notEqual(outcome(`${input}.`), 'ok')
        }
      }
  })

  it('takes no public key for an HMAC secret', () => {
    for (const { exposed, id } of signers)
      for (const text of exposed)
        for (const secret of [text, Buffer.from(text.toString().trim())])
          for (const kid of [undefined, id]) {
            const input = `${encode({ alg: 'HS256', ...(kid !== undefined && { kid }) })}.${encode({ sub: 'u1' })}`
            assert.equal(outcome(`${input}.${hmac(secret, input)}`), 'signature')
          }
  })

  it('needs a kid where several keys have the algorithm', () => {
    const [one, two] = [newSigners()[3]!, newSigners()[3]!]
    const verifier = new JwtVerifier(RULES, [
      { ...one.verification, id: 'one' },
      { ...two.verification, id: 'two' },
    ])
    const check = (header: object) => outcome(tokenOf(two, {}, { alg: 'EdDSA', ...header }), verifier)
    assert.deepEqual(
      [check({}), check({ kid: 'one' }), check({ kid: 'two' }), check({ kid: 'x' })],
      [...['unknown-key', 'signature', 'ok', 'unknown-key']],
    )
  })
})
