import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { originRule } from '../../src/config/origins.ts'
import { ConnectLimits, type ConnectLimitsOptions, type OnExceeded } from '../../src/connection/limits.ts'
import { refusals } from '../../src/contract/codes.ts'
import { LIMIT_NAMES } from '../../src/contract/reasons.ts'
import type { ClientAddress } from '../../src/http/client-address.ts'
import { admit, KeyedRate } from '../../src/platform/rate.ts'
import { assertProperty } from '../support/property.ts'

/**
 * The textbook: tokens drip into a bucket, an event takes one out. Levels are in ms, so that
 * nothing is rounded.
 */
class TokenBucket {
  readonly #intervalMs: number
  readonly #full: number
  #level: number
  #at = 0

  constructor(intervalMs: number, burst: number) {
    this.#intervalMs = intervalMs
    this.#full = burst * intervalMs
    this.#level = this.#full
  }

  take(now: number): boolean {
    this.#level = Math.min(this.#full, this.#level + now - this.#at)
    this.#at = now
    if (this.#level < this.#intervalMs) return false
    this.#level -= this.#intervalMs
    return true
  }
}

const pauses = fc.array(fc.oneof(fc.constant(0), fc.nat(20), fc.nat(5000)), { maxLength: 300 })

describe('a rate', () => {
  it('admits exactly the events that a token bucket admits', () => {
    const property = fc.property(
      fc.integer({ min: 1, max: 100 }),
      fc.integer({ min: 1, max: 50 }),
      pauses,
      (...args) => {
        const [intervalMs, burst, waits] = args
        const bucket = new TokenBucket(intervalMs, burst)
        let [fullAt, now] = [0, 0]
        for (const wait of waits) {
          now += wait
          const next = admit(fullAt, now, intervalMs, burst)
          assert.equal(next !== undefined, bucket.take(now), `after ${now} ms`)
          fullAt = next ?? fullAt
        }
      },
    )
    assertProperty(property, { numRuns: 500 })
  })

  it('admits the whole burst and not one more, whatever fraction of a millisecond the interval is', () => {
    // Up to two weeks after the start of the process, at any fraction of a millisecond.
    const now = fc.tuple(fc.nat(1.2e9), fc.nat(999_999)).map(([whole, part]) => whole + part / 1e6)
    const property = fc.property(
      now,
      fc.integer({ min: 1, max: 3000 }),
      fc.integer({ min: 1, max: 300 }),
      (...args) => {
        const [at, rate, burst] = args
        let fullAt = 0
        for (let n = 1; n <= burst; n++) {
          const next = admit(fullAt, at, 1000 / rate, burst)
          assert.ok(next !== undefined, `event ${n} of ${burst}`)
          fullAt = next
        }
        assert.equal(admit(fullAt, at, 1000 / rate, burst), undefined)
      },
    )
    assertProperty(property, { numRuns: 500 })
  })

  it('admits the burst at once, then one event per interval, and refused events change nothing', () => {
    let fullAt = 0
    const tryAt = (now: number) => {
      const next = admit(fullAt, now, 10, 3)
      fullAt = next ?? fullAt
      return next !== undefined
    }
    assert.deepEqual([1000, 1000, 1000, 1000, 1009].map(tryAt), [true, true, true, false, false])
    assert.deepEqual([1010, 1010, 1019, 1020].map(tryAt), [true, false, false, true])
    assert.deepEqual([9000, 9000, 9000, 9000].map(tryAt), [true, true, true, false])
  })
})

const OFF: ConnectLimitsOptions = {
  maxConnections: 1000,
  reservedConnections: 0,
  maxConnectionsPerIp: 0,
  connectRate: 0,
  connectRatePerIp: 0,
  refusedRatePerIp: 0,
  refusedOpenMax: 1000,
}
const limits = (options: Partial<ConnectLimitsOptions>, onExceeded?: OnExceeded) =>
  new ConnectLimits({ ...OFF, ...options }, onExceeded)
const client = (ip: string, given: Partial<ClientAddress> = {}) => ({ ip, isClient: true, forwarded: false, ...given })

describe('places', () => {
  const codes = (subject: ConnectLimits, ips: string[], now = 0, trusted = true) =>
    ips.map((ip) => subject.take(client(ip), now, trusted)?.code ?? 'ok')

  it('hands out MAX_CONNECTIONS places, and hands out again those that are given back', () => {
    const subject = limits({ maxConnections: 2 })
    assert.deepEqual(codes(subject, ['a', 'b', 'c']), ['ok', 'ok', 'at-capacity'])
    subject.give('a')
    assert.deepEqual(codes(subject, ['c', 'a']), ['ok', 'at-capacity'])
  })

  it('counts the places of each address as well', () => {
    const subject = limits({ maxConnectionsPerIp: 2 })
    assert.deepEqual(codes(subject, ['a', 'a', 'a', 'b', 'b', 'b']), [
      ...['ok', 'ok', 'address-limit'],
      ...['ok', 'ok', 'address-limit'],
    ])
    subject.give('b')
    assert.deepEqual(codes(subject, ['a', 'b']), ['address-limit', 'ok'])
  })

  it('takes no place for a refusal, and counts it against no rate of the instance', () => {
    const subject = limits({ connectRate: 2, maxConnectionsPerIp: 1 })
    assert.deepEqual(codes(subject, ['a', 'a', 'a', 'b', 'c', 'c']), [
      ...['ok', 'address-limit', 'address-limit'],
      ...['ok', 'connect-rate', 'connect-rate'],
    ])
    assert.equal(subject.count, 2)
    assert.deepEqual(codes(subject, ['c'], 500), ['ok'], 'the refusals of c by the instance cost c nothing')
  })

  it('keeps places when it sweeps addresses', () => {
    const subject = limits({ maxConnectionsPerIp: 1 })
    subject.take(client('open'), 0, true)
    subject.take(client('gone'), 0, true)
    subject.give('gone')
    subject.sweep(5000)
    assert.deepEqual(codes(subject, ['open', 'gone'], 5000), ['address-limit', 'ok'])
  })

  it('keeps a tenth of the places, or RESERVED_CONNECTIONS, for clients with credentials', () => {
    for (const [options, open] of [
      [{ maxConnections: 20, reservedConnections: undefined }, 18],
      [{ maxConnections: 20, reservedConnections: 5 }, 15],
      [{ maxConnections: 20, reservedConnections: 0 }, 20],
      [{ maxConnections: 2, reservedConnections: undefined }, 2],
    ] as const) {
      const subject = limits(options)
      const strangers = codes(subject, Array(30).fill('a'), 0, false)
      assert.equal(strangers.filter((code) => code === 'ok').length, open)
      assert.equal(strangers.at(-1), 'at-capacity')
      const known = codes(subject, Array(30).fill('b'))
      assert.equal(known.filter((code) => code === 'ok').length, options.maxConnections - open)
    }
  })

  it('counts places right after any sequence of taking and giving', () => {
    const steps = fc.array(fc.record({ ip: fc.constantFrom('a', 'b', 'c'), take: fc.boolean(), sweep: fc.boolean() }))
    const property = fc.property(steps, (sequence) => {
      const subject = limits({ maxConnections: 5, maxConnectionsPerIp: 2 })
      const held: string[] = []
      for (const { ip, take, sweep } of sequence) {
        if (sweep) subject.sweep(0)
        const mine = held.filter((each) => each === ip).length
        if (take) {
          const expected = held.length >= 5 ? 'at-capacity' : mine >= 2 ? 'address-limit' : 'ok'
          assert.deepEqual(codes(subject, [ip]), [expected])
          if (expected === 'ok') held.push(ip)
        } else if (mine > 0) {
          held.splice(held.indexOf(ip), 1)
          subject.give(ip)
        }
        assert.equal(subject.count, held.length)
      }
    })
    assertProperty(property, { numRuns: 300 })
  })
})

describe('the rates of an address', () => {
  const attempts = (subject: ConnectLimits, ips: string[], now = 0) =>
    ips.map((ip) => subject.attempt(client(ip), now)?.code ?? 'ok')

  it('count each upgrade, whatever comes of it: twice the rate at once', () => {
    const subject = limits({ connectRatePerIp: 1 })
    assert.deepEqual(attempts(subject, ['a', 'a', 'a', 'b']), ['ok', 'ok', 'connect-rate', 'ok'])
    subject.sweep(999)
    assert.deepEqual(attempts(subject, ['a', 'a'], 1000), ['ok', 'connect-rate'])
    subject.sweep(9000)
    assert.deepEqual(attempts(subject, ['a', 'a', 'a'], 9000), ['ok', 'ok', 'connect-rate'])
  })

  it('count refusals that are the fault of the client, and then refuse before anything is looked at', () => {
    const subject = limits({ refusedRatePerIp: 1 })
    for (const name of ['redis-unavailable', 'draining', 'internal-error', 'address-limit', 'connect-rate'] as const)
      for (let i = 0; i < 5; i++) subject.refused('a', refusals[name], 0)
    assert.deepEqual(attempts(subject, ['a']), ['ok'])
    for (let i = 0; i < 5; i++) subject.refused('a', refusals['credentials-missing'], 0)
    assert.deepEqual(attempts(subject, ['a', 'b']), ['connect-rate', 'ok'])
    assert.deepEqual(attempts(subject, ['a'], 1001), ['ok'], 'what was refused for the rate costs nothing')
  })

  it('let the address of a proxy pass, and say so', () => {
    const heard: [string, boolean][] = []
    const subject = limits({ connectRatePerIp: 1 }, ({ limit }, _, enforced) => heard.push([limit, enforced]))
    const proxy = client('a', { isClient: false, forwarded: true })
    for (let i = 0; i < 4; i++) assert.equal(subject.attempt(proxy, 0), undefined)
    assert.deepEqual(heard, [
      ['CONNECT_RATE_PER_IP', false],
      ['CONNECT_RATE_PER_IP', false],
    ])
  })

  it('are kept for a bounded number of addresses', () => {
    const rate = new KeyedRate({ intervalMs: 1000, burst: 1 }, 10)
    for (let i = 0; i < 1000; i++) rate.take(`address-${i}`, 0)
    assert.equal(rate.size, 10)
    assert.equal(rate.allows('address-999', 0), false)
    rate.sweep(2000)
    assert.equal(rate.size, 0)
  })
})

describe('a refusal by a limit', () => {
  it('names the limit, its value and its setting', () => {
    const seen = new Map<string, string>()
    const note: OnExceeded = ({ limit, value, refusal }) => {
      assert.ok(refusal.message.includes(limit) && refusal.message.includes(` ${value}`), refusal.message)
      seen.set(limit, refusal.message)
    }
    const each = (options: Partial<ConnectLimitsOptions>, trusted = true) => {
      const subject = limits(options, note)
      for (let i = 0; i < 30; i++) subject.refused('r', refusals['token-rejected'], 0)
      subject.attempt(client('r'), 0)
      for (let i = 0; i < 30; i++) if (!subject.attempt(client('a'), 0)) subject.take(client('a'), 0, trusted)
    }
    each({ maxConnections: 7 })
    each({ maxConnections: 20, reservedConnections: 7 }, false)
    each({ maxConnectionsPerIp: 7 })
    each({ connectRate: 7 })
    each({ connectRatePerIp: 7 })
    each({ refusedRatePerIp: 7 })
    assert.deepEqual([...seen.keys()].sort(), [...LIMIT_NAMES].sort())
  })
})

describe('the origin rule', () => {
  const label = fc.stringMatching(/^[a-z0-9]{1,10}$/)
  const host = fc.array(label, { minLength: 2, maxLength: 4 }).map((labels) => `x${labels.join('.x')}`)
  const scheme = fc.constantFrom('http', 'https')

  it('accepts any origin when there is no list, and a missing one unless an origin is required', () => {
    assert.equal(originRule([], false)('https://anything.test'), true)
    assert.equal(originRule([], false)(''), true)
    assert.equal(originRule([], true)(''), false)
    assert.equal(originRule([], true)('https://anything.test'), true)
    assert.equal(originRule(['https://a.test'], false)(''), true)
    assert.equal(originRule(['https://a.test'], true)(''), false)
  })

  it('matches a full origin with its scheme and port, in upper or lower case', () => {
    const rule = originRule(['https://App.example.org/', 'http://localhost:3000'], true)
    const allowed = ['https://app.example.org', 'HTTPS://APP.EXAMPLE.ORG', 'http://localhost:3000']
    const refused = [
      'http://app.example.org',
      'https://app.example.org:8443',
      'http://localhost',
      'http://localhost:30001',
    ]
    for (const origin of allowed) assert.equal(rule(origin), true, origin)
    for (const origin of refused) assert.equal(rule(origin), false, origin)
  })

  it('matches a host with any scheme and port, or with the port that is given', () => {
    const rule = originRule(['example.org', 'example.com:8443'], true)
    for (const origin of [
      'https://example.org',
      'http://example.org',
      'https://example.org:444',
      'https://example.com:8443',
    ])
      assert.equal(rule(origin), true, origin)
    for (const origin of ['https://www.example.org', 'https://example.com', 'https://example.org.evil.test', 'null'])
      assert.equal(rule(origin), false, origin)
  })

  it('matches hosts below a wildcard, never the host itself nor one that only ends like it', () => {
    const property = fc.property(scheme, host, label, (protocol, name, sub) => {
      const rule = originRule([`*.${name}`], true)
      assert.equal(rule(`${protocol}://${sub}.${name}`), true)
      assert.equal(rule(`${protocol}://${sub}.${sub}.${name}:8080`), true)
      assert.equal(rule(`${protocol}://${name}`), false)
      assert.equal(rule(`${protocol}://${sub}${name}`), false)
      assert.equal(rule(`${protocol}://${sub}.${name}.${sub}`), false)
      assert.equal(rule(`${protocol}://${sub}.test/.${name}`), false)
      assert.equal(rule(`${protocol}://${sub}.test?.${name}`), false)
      assert.equal(rule(`.${name}`), false)
    })
    assertProperty(property, { numRuns: 200 })
  })

  it('refuses every origin that is not in the list', () => {
    const property = fc.property(scheme, host, fc.array(host, { minLength: 1 }), (protocol, name, others) => {
      fc.pre(!others.includes(name))
      assert.equal(originRule(others, false)(`${protocol}://${name}`), false)
      assert.equal(originRule([...others, name], false)(`${protocol}://${name}`), true)
    })
    assertProperty(property, { numRuns: 200 })
  })

  it('returns true or false for any text that a client may send as its origin', () => {
    const rule = originRule(['example.org', '*.example.org'], false)
    assertProperty(fc.property(fc.string(), (origin) => typeof rule(origin) === 'boolean'))
    for (const origin of ['null', 'https://', '://example.org', 'https://exa mple.org', 'file://', 'https://[::1']) {
      assert.equal(rule(origin), false, origin)
    }
  })
})
