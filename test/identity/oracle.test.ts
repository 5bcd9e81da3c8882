import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { jwtVerify } from 'jose'
import type { ClaimRules } from '../../src/identity/claims.ts'
import { JwtVerifier, type RejectedToken } from '../../src/identity/verifier.ts'
import { encode, hmac, newSigners, type Signer, tokenOf } from '../support/tokens.ts'

/** The nightly run sets both: a million tokens, and another seed. */
const MUTATIONS = Number(process.env.JWT_MUTATIONS ?? 12_000)
const SEED = Number(process.env.PROPERTY_SEED ?? 20_240_601)

const NOW = 1_800_000_000
const RULES: ClaimRules = { audiences: ['chat'], issuers: ['https://id.example.org'], skewMs: 30_000 }

/** mulberry32: the same tokens for the same seed. */
function randomOf(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let bits = Math.imul(state ^ (state >>> 15), 1 | state)
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits
    return ((bits ^ (bits >>> 14)) >>> 0) % below
  }
}

const random = randomOf(SEED)
const one = <T>(...values: readonly T[]): T => values[random(values.length)]!

const signers = newSigners()
const exposed = signers.flatMap((each) => each.exposed)

/** A value of JSON that a claim or a header could have, often a wrong one. */
const anyValue = (): string =>
  one('1', '-1', '1e400', '0', 'null', 'true', 'false', '""', '"chat"', '["chat"]', '[]', '{}', '"none"', '[["chat"]]')

const time = (): string => String(NOW + one(-1e9, -100, -31, -30, -29, -1, 0, 1, 29, 30, 31, 100, 1e9, 0.5))

function claims(): string {
  const members = [
    `"aud":${random(8) ? one('"chat"', '["x","chat"]') : anyValue()}`,
    `"iss":${random(8) ? '"https://id.example.org"' : anyValue()}`,
    ...(random(3) ? [`"exp":${random(12) ? time() : anyValue()}`] : []),
    ...(random(3) ? [] : [`"nbf":${random(12) ? time() : anyValue()}`]),
    ...(random(3) ? [] : [`"${one('iat', 'sub', 'session_id', 'up', 'exp', 'ex\\u0070', '__proto__')}":${anyValue()}`]),
  ]
  return random(20) ? `{${members.join(',')}}` : one('[]', '1', '', '{', '{"exp":}', 'null', '\ufeff{}')
}

function header({ algorithm, id }: Signer): string {
  const alg = random(6) ? algorithm : one('none', 'HS256', 'RS256', 'ES256', 'EdDSA', 'HS512', 'Ed25519', 'hs256')
  const more = random(6) ? '' : `,"${one('crit', 'b64', 'typ', 'kid', 'alg', 'jwk', 'zip', 'x')}":${anyValue()}`
  return `{"alg":"${alg}"${random(4) ? `,"kid":"${id}"` : ''}${more}}`
}

/** A few bytes of a token changed, added or removed. */
function damaged(token: string): string {
  const at = random(token.length + 1)
  const noise = one('A', 'B', '=', '.', '-', '_', '+', '/', ' ', '\n', 'é', 'Q')
  return token.slice(0, at) + one('', noise, noise) + token.slice(at + random(3))
}

function mutated(signer: Signer): string {
  const [head, body] = [header(signer), claims()]
  const input = `${encode(head)}.${encode(body)}`
  const kind = random(10)
  if (kind < 6) return tokenOf(signer, body, head)
  if (kind < 8) return damaged(tokenOf(signer, body, head))
  if (kind === 8) return `${input}.${hmac(exposed[random(exposed.length)]!, input)}`
  return tokenOf(one(...signers), body, head)
}

async function oracleAccepts(token: string, { algorithm, verification }: Signer): Promise<boolean> {
  const options = {
    algorithms: [algorithm],
    audience: [...RULES.audiences],
    issuer: [...RULES.issuers],
    clockTolerance: RULES.skewMs / 1000,
    currentDate: new Date(NOW * 1000),
  }
  return jwtVerify(token, verification.key, options).then(
    () => true,
    () => false,
  )
}

/** The rules that are stricter than the oracle's, each by its words. */
const STRICTER =
  /three parts in base64url|canonical|repeats|crit or b64|kid is no text|is not JSON|no key has its kid|its (exp|nbf|iat) is not a number|is not a text|neither true nor false|not a list of texts/

describe('the verifier and jose', () => {
  it('accept the same tokens among those that were changed', async () => {
    const counts = { accepted: 0, refused: 0, stricter: 0 }
    for (let i = 0; i < MUTATIONS; i++) {
      const signer = signers[i % signers.length]!
      const verifier = new JwtVerifier(RULES, [signer.verification])
      const token = mutated(signer)
      const verdict = verifier.verify(token, NOW * 1000)
      const again = verifier.verify(token, NOW * 1000)
      assert.deepEqual(again, verdict, 'the cache changes nothing')
      const expected = await oracleAccepts(token, signer)
      const context = `seed ${SEED}, ${signer.algorithm}: ${JSON.stringify(verdict)} for ${token}`
      if (!('fault' in verdict)) {
        assert.ok(expected, `jose refuses what the verifier accepts, ${context}`)
        counts.accepted++
      } else if (expected) {
        assert.match((verdict as RejectedToken).why, STRICTER, `the verifier refuses what jose accepts, ${context}`)
        counts.stricter++
      } else counts.refused++
    }
    // The tokens must reach both outcomes often, or the comparison says nothing.
    assert.ok(counts.accepted > MUTATIONS / 50 && counts.refused > MUTATIONS / 10, JSON.stringify(counts))
  })
})
