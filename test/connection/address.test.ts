import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { gatewayFor } from '../support/gateway.ts'
import { upgradeRequest } from '../support/raw.ts'
import { redisFor, type TestRedis } from '../support/redis.ts'
import { knock } from '../support/refusals.ts'
import { type Scope, scopeOf } from '../support/scope.ts'
import { ask } from '../support/wire.ts'

describe('the client address', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  before(async () => {
    redis = await redisFor(suite)
  })

  /** How many of six sockets, each with one of these headers, open at two sockets per address. */
  async function open(scope: Scope, env: Record<string, string>, headers: (i: number) => Record<string, string>) {
    const gateway = await gatewayFor(scope, { redis, env: { MAX_CONNECTIONS_PER_IP: '2', ...env } })
    const sockets = await Promise.all(Array.from({ length: 6 }, (_, i) => knock(gateway, `address-${i}`, headers(i))))
    const statuses = await Promise.all(sockets.map((raw) => raw.status()))
    const remotes = gateway.log
      .filter(({ event }) => event === 'accepted')
      .map(({ conn }) => conn as { remote: string })
    for (const raw of sockets) raw.destroy()
    return { open: statuses.filter((status) => status === 101).length, remotes: remotes.map(({ remote }) => remote) }
  }

  const xff = (value: string) => ({ 'X-Forwarded-For': value })
  const spellings = ['2001:db8::2', '2001:DB8::2', '2001:db8:0::2', '[2001:db8::2]', '2001:0db8::2', '2001:db8::0:2']
  const ONE_CLIENT: Record<string, (i: number) => Record<string, string>> = {
    'a plain address': () => xff('203.0.113.1'),
    'an address and a port': (i) => xff(`203.0.113.2:${40_000 + i}`),
    'IPv6 in brackets with a port': (i) => xff(`[2001:db8::1]:${40_000 + i}`),
    'IPv6 in other spellings': (i) => xff(spellings[i]!),
    'six addresses of one /64': (i) => xff(`2001:db8:0:7::${i + 1}`),
    'IPv4 in IPv6': (i) => xff(i % 2 ? '::ffff:203.0.113.9' : '203.0.113.9'),
    'text that is no address': (i) => xff(['unknown', '_hidden', '-', '1.2.3', 'a:b', '999.1.1.1'][i]!),
  }
  for (const [what, headers] of Object.entries(ONE_CLIENT)) {
    it(`counts ${what} as one client`, async (t) => {
      assert.equal((await open(t, { TRUST_PROXY: 'x-forwarded-for' }, headers)).open, 2)
    })
  }

  it('is the entry before the trusted proxies with TRUST_PROXY_HOPS, whatever the client wrote before it', async (t) => {
    const env = { TRUST_PROXY: 'x-forwarded-for', TRUST_PROXY_HOPS: '2' }
    const behind = await open(t, env, (i) => xff(`203.0.113.${10 + i}, 198.51.100.7`))
    assert.equal(behind.open, 6)
    assert.ok(behind.remotes.includes('203.0.113.10'))
    assert.equal((await open(t, env, (i) => xff(`192.0.2.${i}, 203.0.113.1, 198.51.100.7`))).open, 2)
    assert.equal((await open(t, env, () => xff('203.0.113.1'))).open, 2, 'fewer entries than proxies')
  })

  it('is read from Forwarded, of which no open quote of a client can hide the entry of the proxy', async (t) => {
    const env = { TRUST_PROXY: 'forwarded' }
    const forwarded = (value: string) => ({ Forwarded: value })
    const six = await open(t, env, (i) => forwarded(`for=192.0.2.1, proto=https;For="[2001:db8:${i}::1]:4711";by=x`))
    assert.equal(six.open, 6)
    assert.ok(six.remotes.includes('2001:db8:3::1'))
    assert.equal((await open(t, env, (i) => forwarded(`for="192.0.2.${i}, for=203.0.113.1`))).open, 2)
    assert.equal((await open(t, env, (i) => forwarded(`for=192.0.2.${i}\r\nForwarded: for=203.0.113.1`))).open, 2)
    assert.equal((await open(t, env, (i) => xff(`203.0.113.${i}`))).open, 2, 'the other header says nothing')
  })

  it('is believed only of peers in TRUST_PROXY_CIDR', async (t) => {
    const env = { TRUST_PROXY: 'x-forwarded-for' }
    const each = (i: number) => xff(`203.0.113.${i}`)
    assert.equal((await open(t, { ...env, TRUST_PROXY_CIDR: '10.0.0.0/8,::1' }, each)).open, 2)
    assert.equal((await open(t, { ...env, TRUST_PROXY_CIDR: '10.0.0.0/8,127.0.0.0/8' }, each)).open, 6)
  })

  it('gives the place of an IPv6 client back', async (t) => {
    const env = { MAX_CONNECTIONS_PER_IP: '1', TRUST_PROXY: 'x-forwarded-for' }
    const gateway = await gatewayFor(t, { redis, env })
    for (let i = 0; i < 3; i++) {
      const headers = xff(`[2001:db8::${i}]:1`)
      const answer = await ask(gateway.http, upgradeRequest('/a/ws/none', { ...headers, Authorization: 'Bearer x' }))
      assert.equal(answer.status, 403)
    }
  })
})
