import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type Grant, readTicket, signTicket } from '../../src/sessions/ticket.ts'
import { assertProperty } from '../support/property.ts'

const SECRET = 's'.repeat(43)
const NOW = 1_800_000_000_000
const MINUTE = 60_000
const GRANT: Grant = {
  session: 's-1',
  agent: 'agent-1',
  sid: 'sid-of-a-test',
  authTime: NOW,
  notAfter: NOW + 60 * MINUTE,
  claims: undefined,
}
const TICKET = signTicket(GRANT, NOW + 10 * MINUTE, SECRET)

const read = (ticket: string, { secrets = [SECRET], now = NOW, session = 's-1', agent = 'agent-1' } = {}) =>
  readTicket(ticket, { session, agent }, secrets, now)

/** Signs any text as the payload of a ticket. */
function signed(payload: string): string {
  const body = `wst1_${Buffer.from(payload).toString('base64url')}`
  return `${body}.${createHmac('sha256', SECRET).update(body).digest('base64url')}`
}
const claimsIn = (ticket: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(ticket.slice('wst1_'.length, ticket.indexOf('.')), 'base64url').toString())
const withClaims = (claims: object) => signed(JSON.stringify({ ...claimsIn(TICKET), ...claims }))

describe('a resume ticket', () => {
  it('gives back its grant, with any accepted secret, until it expires', () => {
    assert.match(TICKET, /^wst1_[\w-]+\.[\w-]{43}$/)
    assert.deepEqual(read(TICKET), GRANT)
    assert.deepEqual(read(TICKET, { secrets: ['t'.repeat(43), SECRET] }), GRANT)
    assert.deepEqual(read(TICKET, { now: NOW + 10 * MINUTE - 1 }), GRANT)
    assert.equal(read(TICKET, { now: NOW + 10 * MINUTE }), 'expired')
  })

  it('keeps what the JWT of the admission says', () => {
    const times = { issuedAt: 5, expiresAt: 9 }
    const claims = { subject: 'u', tokenId: 'j', sid: undefined, ...times, publishes: false, signedBy: 'k' }
    assert.deepEqual(read(signTicket({ ...GRANT, claims }, NOW + MINUTE, SECRET)), { ...GRANT, claims })
    const none = { ...claims, subject: undefined, tokenId: undefined, issuedAt: undefined, expiresAt: undefined }
    const bare = { ...GRANT, claims: { ...none, publishes: true, signedBy: undefined } }
    assert.deepEqual(read(signTicket(bare, NOW + MINUTE, SECRET)), bare)
    const full = { sub: 'u', jti: 'j', sid: 's', iat: 1, exp: 2, up: true }
    assert.equal(typeof read(withClaims({ jwt: full })), 'object')
    for (const [name, value] of Object.entries({
      sub: 1,
      jti: null,
      sid: {},
      key: 7,
      iat: '1',
      exp: '2',
      up: undefined,
    }))
      assert.equal(read(withClaims({ jwt: { ...full, [name]: value } })), 'malformed', name)
    for (const jwt of [null, 'text', 7]) assert.equal(read(withClaims({ jwt })), 'malformed')
  })

  it('is refused when it was signed with a secret that is not accepted any more, or without secrets', () => {
    for (const secrets of [[], ['t'.repeat(43)], ['']]) assert.equal(read(TICKET, { secrets }), 'signature')
  })

  it('is refused when its admission lies in the future, by more than servers of Redis may differ', () => {
    const at = (authTime: number) => read(signTicket({ ...GRANT, authTime }, NOW + MINUTE, SECRET))
    assert.equal(typeof at(NOW + 30_000), 'object')
    assert.equal(at(NOW + 30_001), 'early')
  })

  it('is refused for another session and another agent', () => {
    for (const other of [{ session: 's-2' }, { agent: 'agent-2' }, { session: 'agent-1', agent: 's-1' }])
      assert.equal(read(TICKET, other), 'session')
  })

  it('is refused for another purpose and another door', () => {
    for (const claims of [{ purpose: 'sse-read' }, { purpose: undefined }, { door: 'run' }, { door: ['session'] }])
      assert.equal(read(withClaims(claims)), 'purpose')
  })

  it('is refused after `not_after`, whatever its own expiry says', () => {
    const late = signTicket(GRANT, NOW + 1000 * MINUTE, SECRET)
    assert.equal(claimsIn(late).exp, GRANT.notAfter)
    const now = GRANT.notAfter
    assert.equal(read(withClaims({ exp: now + MINUTE }), { now }), 'expired')
  })

  it('copies `auth_time`, `sid` and `not_after` when it is renewed, any number of times', () => {
    let ticket = TICKET
    for (let at = NOW; at < GRANT.notAfter; at += 5 * MINUTE) {
      const grant = read(ticket, { now: at })
      assert.deepEqual(grant, GRANT)
      ticket = signTicket(grant as Grant, at + 10 * MINUTE, SECRET)
    }
    assert.equal(read(ticket, { now: GRANT.notAfter }), 'expired')
  })

  it('is refused with claims of other types, or none, although the signature is right', () => {
    const words = ['null', '[]', '1', '"x"', '{}', '{', '', '\0', '{"purpose":"resume","door":"session"}']
    const values = [undefined, null, '9e99', [9e15], {}, true]
    const forms = ['sid', 'auth_time', 'not_after', 'exp'].flatMap((name) =>
      values
        .filter((value) => name !== 'sid' || typeof value !== 'string')
        .map((value) => withClaims({ [name]: value })),
    )
    for (const ticket of [...words.map(signed), ...forms]) assert.equal(typeof read(ticket), 'string', ticket)
  })

  it('is refused when it is cut anywhere, or longer than any ticket', () => {
    for (let end = 0; end < TICKET.length; end++) assert.equal(typeof read(TICKET.slice(0, end)), 'string')
    const huge = signed('x'.repeat(1_000_000))
    assert.equal(read(huge), 'malformed')
    assert.equal(read(`wst1_${'.'.repeat(1000)}`), 'malformed')
  })

  it('is refused after any change of its text, other spellings of the same bytes included', () => {
    const characters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    for (let at = 0; at < TICKET.length; at++)
      for (const character of characters) {
        const changed = TICKET.slice(0, at) + character + TICKET.slice(at + 1)
        if (changed !== TICKET) assert.equal(typeof read(changed), 'string', changed)
      }
    for (const other of [
      `${TICKET}=`,
      ` ${TICKET}`,
      `${TICKET}\n`,
      `${TICKET}.`,
      TICKET.replace('.', '=.'),
      TICKET.toUpperCase(),
    ])
      assert.equal(typeof read(other), 'string', other)
  })

  it('is refused after random edits, and any other text is refused without an exception', () => {
    const edit = fc.tuple(fc.nat(TICKET.length), fc.nat(4), fc.string({ unit: 'binary', maxLength: 4 }))
    assertProperty(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
        let changed = TICKET
        for (const [at, removed, added] of edits) changed = changed.slice(0, at) + added + changed.slice(at + removed)
        if (changed !== TICKET) assert.equal(typeof read(changed), 'string')
      }),
      { numRuns: 2000 },
    )
    assertProperty(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        assert.equal(typeof read(text), 'string')
        assert.equal(typeof read(`wst1_${text}`), 'string')
        assert.equal(typeof read(signed(text)), 'string')
      }),
    )
  })
})
