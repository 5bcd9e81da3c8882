import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isNetwork } from '../../src/config/networks.ts'
import { networkOf, networks, parseIp } from '../../src/platform/address.ts'
import { assertProperty } from '../support/property.ts'

describe('the address that a proxy writes', () => {
  it('is read with and without a port, brackets and a zone, in one spelling', () => {
    for (const text of [
      '198.51.100.7',
      ' 198.51.100.7 ',
      '198.51.100.7:40001',
      '::ffff:198.51.100.7',
      '::FFFF:c633:6407',
    ])
      assert.equal(parseIp(text), '198.51.100.7', text)
    const spellings = [
      ...['2001:db8::a', '2001:DB8::A', '2001:db8:0:0:0:0:0:a', '2001:0db8:0000:0000:0000:0000:0000:000a'],
      ...['[2001:db8::a]', '[2001:db8::a]:443', '2001:db8::a%eth0', '[2001:db8::a%25eth0]:1', '2001:db8::0:a'],
    ]
    for (const text of spellings) assert.equal(parseIp(text), '2001:db8::a', text)
    assert.equal(parseIp('[::ffff:10.0.0.1]:80'), '10.0.0.1')
  })

  it('is nothing for junk', () => {
    for (const text of [
      ...['', ' ', 'unknown', '_hidden', '-', 'null', 'localhost', 'example.org:80', '1.2.3', '1.2.3.4.5', '256.1.1.1'],
      ...[
        '01.2.3.4',
        '0x7f.1',
        '2130706433',
        '1.2.3.4:',
        '1.2.3.4:999999',
        '[1.2.3.4]',
        '[::1',
        '::1]',
        '[::1]x',
        ':::1',
      ],
      ...['1.2.3.4, 5.6.7.8', '1.2.3.4\n', '<script>', '[fe80::1]:port', '::1:::'],
    ].filter((text) => text !== '1.2.3.4\n'))
      assert.equal(parseIp(text), undefined, JSON.stringify(text))
  })

  it('has one form: reading that form again changes nothing, whatever the address', () => {
    const property = fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.nat(65_535), (ip, port) => {
      const form = parseIp(ip)!
      assert.ok(form !== undefined)
      assert.equal(parseIp(form), form)
      assert.equal(parseIp(ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`), form)
      assert.equal(parseIp(ip.toUpperCase()), form)
    })
    assertProperty(property)
    assertProperty(fc.property(fc.string(), (text) => ['string', 'undefined'].includes(typeof parseIp(text))))
  })

  it('counts as its /64 when it is IPv6, and as itself when it is IPv4', () => {
    assert.equal(networkOf('198.51.100.7'), '198.51.100.7')
    assert.equal(networkOf('2001:db8:0:7::1'), '2001:db8:0:7::/64')
    assert.equal(networkOf('::1'), '0:0:0:0::/64')
    const part = fc.nat(0xffff).map((each) => each.toString(16))
    const parts = (n: number) => fc.array(part, { minLength: n, maxLength: n })
    const property = fc.property(parts(4), parts(4), parts(4), parts(4), (high, other, low, alsoLow) => {
      const network = (...groups: string[]) => networkOf(parseIp(groups.join(':'))!)
      fc.pre(high.some((each) => each !== '0') && other.some((each) => each !== '0'))
      assert.equal(network(...high, ...low), network(...high, ...alsoLow))
      if (high.join() !== other.join()) assert.notEqual(network(...high, ...low), network(...other, ...low))
    })
    assertProperty(property)
  })
})

describe('a list of networks', () => {
  it('contains the addresses of its networks and no others', () => {
    const trusts = networks(['10.0.0.0/8', '192.0.2.1', '2001:db8::/32'])
    for (const ip of ['10.255.0.1', '192.0.2.1', '2001:db8:ffff::1']) assert.equal(trusts(ip), true, ip)
    for (const ip of ['11.0.0.1', '192.0.2.2', '2001:db9::1', '::1', '']) assert.equal(trusts(ip), false, ip)
  })

  it('takes addresses and networks only', () => {
    for (const entry of ['10.0.0.0/8', '10.0.0.1', '0.0.0.0/0', '::/0', '2001:db8::/128'])
      assert.ok(isNetwork(entry), entry)
    for (const entry of ['10.0.0.0/33', '::/129', '10/8', 'x', '10.0.0.0/', '10.0.0.0/8/8', '10.0.0.0/-1', 'fe80::1%1'])
      assert.ok(!isNetwork(entry), entry)
  })
})
