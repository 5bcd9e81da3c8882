import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ADMIN_COOKIE, ADMIN_COOKIE_S, Admin } from '../../src/http/admin.ts'

const TOKEN = 'correct-horse-battery'
const admin = new Admin(TOKEN)
const code = (headers: Record<string, string>, who = admin) => who.check(headers)?.code

describe('an admin call', () => {
  it('an admin call is allowed with the admin token and no other', () => {
    assert.equal(code({ authorization: `Bearer ${TOKEN}` }), undefined)
    assert.equal(code({ authorization: `bearer  ${TOKEN}` }), undefined)
    for (const other of ['x', `${TOKEN}x`, TOKEN.slice(1), TOKEN.toUpperCase()])
      assert.equal(code({ authorization: `Bearer ${other}` }), 'admin-rejected', other)
  })

  it('an admin call without token and cookie is refused with 401', () => {
    for (const headers of [{}, { authorization: '' }, { authorization: `Basic ${TOKEN}` }, { cookie: 'a=b; c' }])
      assert.equal(code(headers), 'admin-required')
  })

  it('every admin call is refused while ADMIN_TOKEN is not set', () => {
    const nobody = new Admin(undefined)
    assert.equal(code({ authorization: 'Bearer ' }, nobody), 'admin-disabled')
    assert.equal(code({ authorization: 'Bearer undefined' }, nobody), 'admin-disabled')
    assert.equal(nobody.accepts('undefined'), false)
  })

  it('a granted cookie is valid until it expires, also on another instance with the same token', () => {
    const now = Date.now()
    const cookie = (at = now) => ({ cookie: `first=1; ${ADMIN_COOKIE}=${admin.grant(at)}; last=2` })
    assert.equal(code(cookie()), undefined)
    assert.equal(code(cookie(), new Admin(TOKEN)), undefined)
    assert.equal(code(cookie(), new Admin(`${TOKEN}2`)), 'admin-required')
    assert.equal(code(cookie(now - (ADMIN_COOKIE_S - 60) * 1000)), undefined)
    assert.equal(code(cookie(now - (ADMIN_COOKIE_S + 60) * 1000)), 'admin-required')
  })

  it('a cookie that was changed or made up is refused', () => {
    const [until, signature] = admin.grant().split('.')
    for (const value of [
      `${Number(until) + 1}.${signature}`,
      `${until}.`,
      `${until}`,
      '.',
      '',
      `${until}.${signature}x`,
    ])
      assert.equal(code({ cookie: `${ADMIN_COOKIE}=${value}` }), 'admin-required', value)
  })
})
