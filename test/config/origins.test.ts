import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isOriginEntry, originRule } from '../../src/config/origins.ts'
import { assertProperty } from '../support/property.ts'

describe('a list of origins', () => {
  it('with a * admits any origin, whatever else it contains', () => {
    for (const list of [['*'], ['https://a.test', '*']]) {
      for (const origin of ['https://b.test', 'http://localhost:3000', 'null'])
        assert.equal(originRule(list, false)(origin), true)
    }
    assert.equal(originRule(['*'], true)(''), false)
  })

  it('with https://*.host admits only subdomains, over https, on the default port', () => {
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

  it('accepts no entry that no origin can match', () => {
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
      // Valid characters, but not a host of a URL: invalid punycode, and IPv4 addresses out of
      // range.
      'xn--0',
      '*.xn--0',
      'https://a.xn--0.test:8443',
      'https://1.2.3.256',
      '*.1.2.3.4',
      'file://localhost',
      'http://[1:2]',
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
      'file://',
      'xn--bcher-kva.test',
      '10.0.0.1:8080',
    ])
      assert.equal(isOriginEntry(entry), true, entry)
  })

  it('admits null and file:// only when it contains them', () => {
    for (const origin of ['null', 'file://']) {
      assert.equal(originRule([origin], true)(origin), true)
      assert.equal(originRule(['https://a.test', origin], true)(origin), true)
      assert.equal(originRule(['https://a.test', 'null.test'], true)(origin), false)
    }
    assert.equal(originRule(['null'], true)('file://'), false)
    assert.equal(originRule(['file://'], true)('null'), false)
    assert.equal(originRule(['null'], true)('https://null'), false)
  })

  it('matches IP addresses however the entry writes them', () => {
    assert.equal(originRule(['http://[0:0:0::1]:3000'], true)('http://[::1]:3000'), true)
    assert.equal(originRule(['https://127.1'], true)('https://127.0.0.1'), true)
    assert.equal(originRule(['http://[::1]'], true)('http://[::2]'), false)
  })

  it('matches custom schemes with their host', () => {
    const rule = originRule(['capacitor://localhost'], true)
    assert.equal(rule('capacitor://localhost'), true)
    assert.equal(rule('https://localhost'), false)
    assert.equal(rule('capacitor://other'), false)
  })

  it('rejects an entry exactly when its host is not valid in a URL', () => {
    const label = fc.stringMatching(/^(xn--)?[a-z0-9]{1,6}$/)
    const host = fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => labels.join('.'))
    assertProperty(
      fc.property(fc.constantFrom('', 'http://', 'https://'), host, (scheme, name) => {
        assert.equal(isOriginEntry(`${scheme}${name}`), URL.canParse(`https://${name}`))
      }),
    )
  })

  it('admits for every valid entry an origin built from it', () => {
    const label = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}[a-z0-9]$/)
    const host = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'))
    const property = fc.property(
      fc.constantFrom('', 'http://', 'https://'),
      fc.boolean(),
      host,
      fc.option(fc.integer({ min: 1, max: 65535 })),
      (scheme, wildcard, name, port) => {
        fc.pre(URL.canParse(`https://${wildcard ? 'any.' : ''}${name}`))
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
