import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isOriginEntry, originRule } from '../../src/config/origins.ts'
import { assertProperty } from '../support/property.ts'

describe('a list of origins', () => {
  it('admits any with a *, also beside others', () => {
    for (const list of [['*'], ['https://a.test', '*']]) {
      for (const origin of ['https://b.test', 'http://localhost:3000', 'null'])
        assert.equal(originRule(list, false)(origin), true)
    }
    assert.equal(originRule(['*'], true)(''), false)
  })

  it('admits with https://*.host its subdomains by https at its usual port, and nothing else', () => {
    const rule = originRule(['https://*.example.org'], true)
    for (const origin of ['https://a.example.org', 'https://a.b.example.org', 'https://a.example.org:443'])
      assert.equal(rule(origin), true, origin)
    const others = [
      'http://a.example.org',
      'https://example.org',
      'https://aexample.org',
      'https://a.example.org:8443',
      'https://a.example.org.evil.test',
    ]
    for (const origin of others) assert.equal(rule(origin), false, origin)
    assert.equal(originRule(['https://*.example.org:8443'], true)('https://a.example.org:8443'), true)
  })

  it('knows entries that no origin can match', () => {
    const wrong = [
      '',
      '**',
      '*.',
      'https://',
      'https://*',
      'a.*',
      'https://a.*.test',
      'https://a.test/path',
      'a b',
      'http://a.test:99999',
      '*.*.test',
      '.test',
      'a..b',
      'https://*.[::1]',
    ]
    for (const entry of wrong) assert.equal(isOriginEntry(entry), false, entry)
    for (const entry of [
      '*',
      'null',
      'a.test',
      '*.a.test',
      'https://a.test/',
      'http://[::1]:3000',
      'localhost:3000',
      'capacitor://localhost',
    ])
      assert.equal(isOriginEntry(entry), true, entry)
  })

  it('admits with every good entry an origin that is made after it', () => {
    const label = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}[a-z0-9]$/)
    const host = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'))
    const property = fc.property(
      fc.constantFrom('', 'http://', 'https://'),
      fc.boolean(),
      host,
      fc.option(fc.integer({ min: 1, max: 65535 })),
      (scheme, wildcard, name, port) => {
        const end = port === null ? '' : `:${port}`
        const entry = `${scheme}${wildcard ? '*.' : ''}${name}${end}`
        assert.equal(isOriginEntry(entry), true, entry)
        const origin = `${scheme || 'https://'}${wildcard ? 'any.' : ''}${name}${end}`
        assert.equal(originRule([entry], true)(origin), true, `${entry} and ${origin}`)
        assert.equal(originRule([entry], true)(`${scheme || 'https://'}x${name}${end}`), false)
      },
    )
    assertProperty(property)
  })
})
