import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sessionAuth, sessionDown } from '../../src/contract/topics.ts'
import { connect, refused } from '../support/client.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { clientFrame, RawSocket, upgradeRequest } from '../support/raw.ts'
import { type RealRedis, startRealRedis, startRedis, type TestRedis, withoutRealRedis } from '../support/redis.ts'
import { type RelayedRedis, startRelayedRedis } from '../support/relay.ts'
import { eventually, within } from '../support/wait.ts'
import { type Answer, answerOf, ask, joinRaw, listeners, publish, untilOpen } from '../support/wire.ts'

type Headers = Record<string, string | undefined>

/** What a refusal has to look like. */
interface Expected {
  readonly status: number
  readonly code: string
  readonly headers?: Readonly<Record<string, string>>
  readonly retryAfter?: boolean
}

const REFUSED = {
  malformedId: { status: 400, code: 'malformed-id' },
  malformedRequest: { status: 400, code: 'malformed-request' },
  credentialsMissing: { status: 401, code: 'credentials-missing', headers: { 'www-authenticate': 'Bearer' } },
  tokenRejected: { status: 403, code: 'token-rejected' },
  origin: { status: 403, code: 'origin-not-allowed' },
  method: { status: 405, code: 'method-not-allowed', headers: { allow: 'GET' } },
  upgradeRequired: { status: 426, code: 'upgrade-required', headers: { upgrade: 'websocket' } },
  version: {
    status: 426,
    code: 'unsupported-version',
    headers: { upgrade: 'websocket', 'sec-websocket-version': '13' },
  },
  connectRate: { status: 429, code: 'connect-rate', retryAfter: true },
  addressLimit: { status: 429, code: 'address-limit', retryAfter: true },
  internal: { status: 500, code: 'internal-error' },
  redisUnavailable: { status: 503, code: 'redis-unavailable', retryAfter: true },
  atCapacity: { status: 503, code: 'at-capacity', retryAfter: true },
  draining: { status: 503, code: 'draining', retryAfter: true },
  redisTimeout: { status: 504, code: 'redis-timeout' },
} satisfies Record<string, Expected>

function assertRefusal(answer: Answer, { status, code, headers = {}, retryAfter = false }: Expected): void {
  assert.deepEqual([answer.status, JSON.parse(answer.body).error?.code], [status, code])
  const { error, ...rest } = JSON.parse(answer.body)
  assert.deepEqual(rest, {})
  assert.deepEqual(Object.keys(error), ['code', 'message'])
  assert.ok(error.message.length > 0)
  assert.equal(answer.headers['content-type'], 'application/json')
  for (const [name, value] of Object.entries(headers)) assert.equal(answer.headers[name], value, name)
  if (retryAfter) assert.match(answer.headers['retry-after'] ?? '', /^[1-9]\d*$/)
  else assert.equal(answer.headers['retry-after'], undefined)
}

const counted = (gateway: TestGateway, result: string) =>
  gateway.metric('wsproxy_connections_total', { door: 'session', result })

/** Sends a request and expects it to be refused like that, the connection closed after it, and the refusal counted once. */
async function assertRefused(gateway: TestGateway, request: string | Buffer, expected: Expected): Promise<void> {
  const before = await counted(gateway, expected.code)
  assertRefusal(await ask(gateway.http, request), expected)
  assert.equal((await counted(gateway, expected.code)) - before, 1, `wsproxy_connections_total ${expected.code}`)
}

const withToken = (token: string, headers: Headers = {}): Headers => ({ Authorization: `Bearer ${token}`, ...headers })

/** An upgrade that is on its way: sent, not waited for. */
async function knock(gateway: TestGateway, session: string, headers: Headers = {}): Promise<RawSocket> {
  const token = await gateway.token(session)
  const raw = await RawSocket.open(gateway.http)
  raw.write(upgradeRequest(`/agent-1/ws/${session}`, withToken(token, headers)))
  return raw
}

describe('an upgrade', () => {
  let gateway: TestGateway
  before(async () => {
    gateway = await startGateway()
  })
  after(() => gateway.stop())

  describe('is refused with 400 for an id that', () => {
    const paths = {
      'has a percent-encoded colon': '/agent/ws/a%3Ab',
      'has a colon': '/agent/ws/a:down',
      'is 129 characters long': `/agent/ws/${'a'.repeat(129)}`,
      'is empty': '/agent/ws/',
      'is a glob': '/agent/ws/*',
      'has a glob in it': '/agent/ws/a[bc]*',
      'has an encoded space': '/agent/ws/a%20b',
      'has an encoded slash': '/agent/ws/a%2Fb',
      'has bytes that are not ASCII': '/agent/ws/caf\u00e9',
      'has a semicolon, as only a run id may': '/agent/ws/a;b',
      'is an agent with a colon': '/agent:1/ws/a',
      'is an agent of 129 characters': `/${'a'.repeat(129)}/ws/a`,
      'is an empty agent': '//ws/a',
    }
    for (const [name, path] of Object.entries(paths)) {
      it(name, () => assertRefused(gateway, upgradeRequest(path, withToken('x')), REFUSED.malformedId))
    }

    it('has a space, by the layer below', async () => {
      const { status } = await ask(gateway.http, upgradeRequest('/agent/ws/a b', withToken('x')))
      assert.ok([400, 505].includes(status), String(status))
    })
  })

  it('takes ids of 128 characters, of every kind that is allowed', async () => {
    const id = `${'aZ09_.-'.repeat(18)}xy`
    assert.equal(id.length, 128)
    const token = await gateway.token(id)
    await (await connect(gateway.sessionUrl(id, id), { token })).close()
  })

  describe('is refused with 426 for a version that is', () => {
    for (const [name, version] of Object.entries({
      missing: undefined,
      'an old one': '8',
      junk: 'x',
      'a list': '13, 8',
    })) {
      it(name, async () => {
        const token = await gateway.token('version')
        const request = upgradeRequest('/a/ws/version', withToken(token, { 'Sec-WebSocket-Version': version }))
        await assertRefused(gateway, request, REFUSED.version)
      })
    }
  })

  describe('is refused with 400 for', () => {
    const malformed: Record<string, Headers> = {
      'no key': { 'Sec-WebSocket-Key': undefined },
      'a short key': { 'Sec-WebSocket-Key': 'c2hvcnQ=' },
      'a key of the right length that is not base64': { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub2!jZQ==' },
      'a key of 18 bytes': { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQAA' },
      'no Connection header': { Connection: undefined },
      'a Connection header without upgrade': { Connection: 'keep-alive' },
      'no Upgrade header': { Upgrade: undefined },
      'an Upgrade to something else': { Upgrade: 'h2c' },
    }
    for (const [name, headers] of Object.entries(malformed)) {
      it(name, async () => {
        const token = await gateway.token('malformed')
        await assertRefused(
          gateway,
          upgradeRequest('/a/ws/malformed', withToken(token, headers)),
          REFUSED.malformedRequest,
        )
        assert.equal(await gateway.agent.exists(sessionAuth('malformed')), 1, 'the token is not spent')
      })
    }
  })

  it('may name Upgrade among other tokens, and in any case', async () => {
    const headers = { Connection: 'keep-alive , upGRADE', Upgrade: 'h2c, WebSocket' }
    const raw = await knock(gateway, 'tokens', headers)
    assert.equal(await raw.status(), 101)
    raw.destroy()
  })

  it('is refused with 405 when it is a POST', () =>
    assertRefused(gateway, upgradeRequest('/a/ws/s', withToken('x'), 'POST /a/ws/s HTTP/1.1'), REFUSED.method))

  it('is what a plain GET of a door is asked for with 426', () =>
    assertRefused(gateway, 'GET /a/ws/s HTTP/1.1\r\nHost: x\r\n\r\n', REFUSED.upgradeRequired))

  it('is refused with 404 where there is no door', async () => {
    for (const path of ['/a/ws', '/a/ws/s/', '/a/ws/s/x', '/a/wss/s', '/a/WS/s', '/a/ws/b/ws/s']) {
      assertRefusal(await ask(gateway.http, upgradeRequest(path, withToken('x'))), { status: 404, code: 'not-found' })
    }
  })

  it('is refused with 401 without a token and with 403 with a wrong one', async () => {
    await assertRefused(gateway, upgradeRequest('/a/ws/s'), REFUSED.credentialsMissing)
    await assertRefused(gateway, upgradeRequest('/a/ws/s', withToken('wrong')), REFUSED.tokenRejected)
  })

  it('is logged with its code when it is refused, and with the reason that the client is not told', async () => {
    const lines = () => gateway.log.filter(({ event, code }) => event === 'refused' && code === 'token-rejected')
    const seen = lines().length
    await gateway.token('logged')
    await refused(gateway.sessionUrl('logged'), { token: 'wrong' })
    await refused(gateway.sessionUrl('never'), { token: 'wrong' })
    const [wrong, absent] = lines().slice(seen)
    assert.match(String(wrong?.why), /another/)
    assert.match(String(absent?.why), /no token/)
    assert.deepEqual(wrong?.conn, { door: 'session', session: 'logged', remote: '127.0.0.1' })
  })

  it('is refused when frames come before the 101, and its place is given back', async () => {
    const token = await gateway.token('early')
    const raw = await RawSocket.open(gateway.http)
    const request = upgradeRequest('/a/ws/early', withToken(token))
    raw.write(Buffer.concat([Buffer.from(request), clientFrame(1, '{"early":true}')]))
    await raw.untilClosed()
    assert.ok(!raw.text.startsWith('HTTP/1.1 101'), raw.text)
    await untilOpen(gateway, 0)
    await (await gateway.join('early')).close()
  })

  it('is counted when it is accepted, and its duration is measured', async () => {
    const [accepted, measured] = [
      await counted(gateway, 'accepted'),
      await gateway.metric('wsproxy_handshake_seconds_count'),
    ]
    const clients = await Promise.all([gateway.join('counted'), gateway.join('counted-2')])
    assert.equal((await counted(gateway, 'accepted')) - accepted, 2)
    assert.equal((await gateway.metric('wsproxy_handshake_seconds_count')) - measured, 2)
    for (const client of clients) await client.close()
    await untilOpen(gateway, 0)
  })
})

describe('an origin', () => {
  let redis: TestRedis
  let listed: TestGateway
  let required: TestGateway
  before(async () => {
    redis = await startRedis()
    const ALLOWED_ORIGINS = 'https://app.example.org, cli.example.com, *.example.net'
    listed = await startGateway({ redis, env: { ALLOWED_ORIGINS } })
    required = await startGateway({ redis, env: { REQUIRE_ORIGIN: 'true' } })
  })
  after(async () => {
    await listed?.stop()
    await required?.stop()
    await redis?.stop()
  })

  it('is let in when it is listed in full, by its host, or below a wildcard', async () => {
    const origins = [
      'https://app.example.org',
      'http://cli.example.com',
      'https://a.example.net',
      'https://a.b.example.net:8443',
    ]
    for (const Origin of origins) {
      const raw = await knock(listed, 'origin', { Origin })
      assert.equal(await raw.status(), 101, Origin)
      raw.destroy()
    }
  })

  it('is refused with 403 when it is not, before the token is spent', async () => {
    const token = await listed.token('stranger')
    const origins = [
      'http://app.example.org',
      'https://example.net',
      'https://evilexample.net',
      'https://evil.test',
      'null',
    ]
    for (const Origin of origins) {
      await assertRefused(listed, upgradeRequest('/a/ws/stranger', withToken(token, { Origin })), REFUSED.origin)
    }
    await (await connect(listed.sessionUrl('stranger'), { token })).close()
  })

  it('may be missing, as command-line clients send none, unless one is required', async () => {
    await (await listed.join('cli')).close()
    const token = await required.token('cli')
    await assertRefused(required, upgradeRequest('/a/ws/cli', withToken(token)), REFUSED.origin)
    await (await connect(required.sessionUrl('cli'), { token, origin: 'https://any.test' })).close()
  })
})

describe('a limit', () => {
  let redis: TestRedis
  const started: TestGateway[] = []
  const start = async (env: Record<string, string>) => {
    const gateway = await startGateway({ redis, env })
    started.push(gateway)
    return gateway
  }
  before(async () => {
    redis = await startRedis()
  })
  after(async () => {
    for (const gateway of started) await gateway.stop()
    await redis?.stop()
  })

  const xff = (address: string) => ({ 'X-Forwarded-For': address })

  describe('of the connect rate', () => {
    it('refuses the rest of a rush with 429, spends none of its tokens, and lets them in later', async () => {
      const gateway = await start({ CONNECT_RATE: '1' })
      const sessions = Array.from({ length: 20 }, (_, i) => `rush-${i}`)
      const sockets = await Promise.all(sessions.map((session) => knock(gateway, session)))
      const statuses = await Promise.all(sockets.map((raw) => raw.status()))
      const late = sessions.filter((_, i) => statuses[i] === 429)
      assert.ok(statuses.includes(101))
      assert.ok(late.length >= 10, `${late.length} of 20 were refused`)
      for (const [i, raw] of sockets.entries()) {
        if (statuses[i] !== 429) continue
        await raw.untilClosed()
        assertRefusal(answerOf(raw), REFUSED.connectRate)
      }
      assert.equal(await counted(gateway, 'connect-rate'), late.length)
      assert.equal(await gateway.metric('wsproxy_rate_limited_total', { what: 'connect' }), late.length)
      assert.equal(await redis.client().then((client) => client.exists(late.map(sessionAuth))), late.length)
      const token = await gateway.token(late[0]!)
      const again = () => connect(gateway.sessionUrl(late[0]!), { token }).catch(() => undefined)
      await (await eventually(again, 'the bucket to refill')).close()
      for (const raw of sockets) raw.destroy()
    })

    it('is one for each address, beside the one for all', async () => {
      const gateway = await start({ CONNECT_RATE_PER_IP: '1', TRUST_PROXY: 'x-forwarded-for' })
      const addresses = Array.from({ length: 10 }, (_, i) => `10.0.0.${i}`)
      const rush = addresses.flatMap((address) => [address, address, address])
      const sockets = await Promise.all(rush.map((address, i) => knock(gateway, `each-${i}`, xff(address))))
      const statuses = await Promise.all(sockets.map((raw) => raw.status()))
      for (const address of addresses) {
        const mine = statuses.filter((_, i) => rush[i] === address)
        assert.ok(mine.includes(101), `${address}: ${mine}`)
      }
      const refusals = statuses.filter((status) => status === 429).length
      assert.ok(refusals >= 10, `${refusals} of 30 were refused`)
      assert.equal(await counted(gateway, 'connect-rate'), refusals)
      for (const raw of sockets) raw.destroy()
    })
  })

  describe('of sockets in all', () => {
    it('refuses with 503 and gives a place back with every close', async () => {
      const gateway = await start({ MAX_CONNECTIONS: '2' })
      const [first, second] = await Promise.all([gateway.join('full-1'), gateway.join('full-2')])
      const token = await gateway.token('third')
      await assertRefused(gateway, upgradeRequest('/a/ws/third', withToken(token)), REFUSED.atCapacity)
      const enter = () => connect(gateway.sessionUrl('third'), { token }).catch(() => undefined)
      await first.close()
      const third = await eventually(enter, 'a place')
      second.socket.terminate()
      await untilOpen(gateway, 1)
      await (await gateway.join('fourth')).close()
      await third.close()
      await untilOpen(gateway, 0)
    })

    it('is not used up by refusals, nor by whoever hangs up on the way', async () => {
      const gateway = await start({ MAX_CONNECTIONS: '2' })
      for (let i = 0; i < 10; i++) {
        assert.equal((await refused(gateway.sessionUrl('refusals'), { token: 'wrong' })).code, 'token-rejected')
        assert.equal((await refused(gateway.sessionUrl('refusals'))).code, 'credentials-missing')
        ;(await knock(gateway, `hang-up-${i}`)).destroy()
      }
      const enter = () => gateway.join('refusals').catch(() => undefined)
      const clients = [await eventually(enter, 'a place'), await eventually(enter, 'the other place')]
      assert.equal((await refused(gateway.sessionUrl('refusals'), { token: 'x' })).code, 'at-capacity')
      for (const client of clients) await client.close()
      await untilOpen(gateway, 0)
    })

    it('counts those on their way in, so that a rush does not get past it', async () => {
      const gateway = await start({ MAX_CONNECTIONS: '5' })
      const sockets = await Promise.all(Array.from({ length: 30 }, (_, i) => knock(gateway, `rush-in-${i}`)))
      const statuses = await Promise.all(sockets.map((raw) => raw.status()))
      assert.deepEqual(
        [101, 503].map((wanted) => statuses.filter((status) => status === wanted).length),
        [5, 25],
      )
      await untilOpen(gateway, 5)
      for (const raw of sockets) raw.destroy()
      await untilOpen(gateway, 0)
    })
  })

  describe('of sockets from one address', () => {
    it('refuses with 429 and gives the place back', async () => {
      const gateway = await start({ MAX_CONNECTIONS_PER_IP: '1' })
      const first = await gateway.join('one')
      const token = await gateway.token('two')
      await assertRefused(gateway, upgradeRequest('/a/ws/two', withToken(token)), REFUSED.addressLimit)
      await first.close()
      const enter = () => connect(gateway.sessionUrl('two'), { token }).catch(() => undefined)
      await (await eventually(enter, 'the place')).close()
    })

    it('believes nothing that a client says of its address when there is no proxy to trust', async () => {
      const gateway = await start({ MAX_CONNECTIONS_PER_IP: '1' })
      const first = await knock(gateway, 'spoof', xff('10.0.0.1'))
      assert.equal(await first.status(), 101)
      await assertRefused(gateway, upgradeRequest('/a/ws/s', withToken('x', xff('10.0.0.2'))), REFUSED.addressLimit)
      first.destroy()
    })

    it('goes by the last entry of X-Forwarded-For, which the trusted proxy wrote', async () => {
      const gateway = await start({ MAX_CONNECTIONS_PER_IP: '1', TRUST_PROXY: 'x-forwarded-for' })
      const first = await knock(gateway, 'proxied', xff('192.0.2.1, 10.0.0.1'))
      const second = await knock(gateway, 'proxied-2', xff('192.0.2.1,10.0.0.2'))
      assert.deepEqual([await first.status(), await second.status()], [101, 101])
      for (const said of ['10.0.0.1', '198.51.100.7, 10.0.0.1 ', '10.0.0.9,10.0.0.2']) {
        await assertRefused(gateway, upgradeRequest('/a/ws/s', withToken('x', xff(said))), REFUSED.addressLimit)
      }
      const remotes = gateway.log
        .filter(({ event }) => event === 'accepted')
        .map(({ conn }) => (conn as { remote: string }).remote)
      assert.deepEqual(remotes.toSorted(), ['10.0.0.1', '10.0.0.2'])
      for (const raw of [first, second]) raw.destroy()
    })

    it('goes by the last header line too, when the proxy adds one of its own', async () => {
      const gateway = await start({ MAX_CONNECTIONS_PER_IP: '1', TRUST_PROXY: 'x-forwarded-for' })
      const first = await knock(gateway, 'lines', xff('10.0.0.1'))
      assert.equal(await first.status(), 101)
      const spoofed = xff('192.0.2.1\r\nX-Forwarded-For: 10.0.0.1')
      await assertRefused(gateway, upgradeRequest('/a/ws/s', withToken('x', spoofed)), REFUSED.addressLimit)
      first.destroy()
    })

    it('goes by the connection when the proxy wrote nothing', async () => {
      const gateway = await start({ MAX_CONNECTIONS_PER_IP: '1', TRUST_PROXY: 'x-forwarded-for' })
      const first = await knock(gateway, 'bare')
      assert.equal(await first.status(), 101)
      for (const headers of [{}, xff(''), xff('127.0.0.1')]) {
        await assertRefused(gateway, upgradeRequest('/a/ws/s', withToken('x', headers)), REFUSED.addressLimit)
      }
      first.destroy()
    })

    it('goes by the PROXY protocol, version 2', async () => {
      const gateway = await start({ MAX_CONNECTIONS_PER_IP: '1', TRUST_PROXY: 'proxy-protocol' })
      const preamble = (last: number) =>
        Buffer.from([
          ...Buffer.from('\r\n\r\n\0\r\nQUIT\n'),
          ...[0x21, 0x11, 0, 12],
          ...[10, 0, 0, last, 127, 0, 0, 1, 0x30, 0x39, 0x1f, 0x90],
        ])
      const from = async (last: number, session: string) => {
        const token = await gateway.token(session)
        const raw = await RawSocket.open(gateway.http)
        raw.write(Buffer.concat([preamble(last), Buffer.from(upgradeRequest(`/a/ws/${session}`, withToken(token)))]))
        return raw
      }
      const [first, second] = [await from(1, 'proxy'), await from(2, 'proxy-2')]
      assert.deepEqual([await first.status(), await second.status()], [101, 101])
      const request = Buffer.concat([preamble(1), Buffer.from(upgradeRequest('/a/ws/s', withToken('x')))])
      await assertRefused(gateway, request, REFUSED.addressLimit)
      for (const raw of [first, second]) raw.destroy()
    })
  })
})

describe('an upgrade that Redis has not confirmed', () => {
  let redis: RelayedRedis
  let gateway: TestGateway
  before(async () => {
    redis = await startRelayedRedis()
    gateway = await startGateway({ redis, env: { MAX_CONNECTIONS: '1', HANDSHAKE_TIMEOUT: '60s' } })
  })
  after(async () => {
    redis?.release()
    await gateway?.stop()
    await redis?.stop()
  })

  /** Frees whatever a test may still hold and checks that the one place there is can be taken. */
  async function assertPlaceIsFree(): Promise<void> {
    redis.release()
    const client = await eventually(() => gateway.join('place').catch(() => undefined), 'the place')
    await client.close()
    await untilOpen(gateway, 0)
    await eventually(async () => (await gateway.metric('wsproxy_redis_pubsub_channels_active')) === 0, 'no channel')
  }

  it('gets its 101 when the confirmation of the subscription comes, and not before', async () => {
    redis.hold(sessionDown('confirm'))
    const raw = await knock(gateway, 'confirm')
    await eventually(() => redis.holds(sessionDown('confirm')), 'the confirmation to be on its way')
    // The token is spent by now: nothing but the confirmation is missing.
    assert.equal(await gateway.agent.exists(sessionAuth('confirm')), 0)
    assert.equal((await fetch(`${gateway.http}/version`)).status, 200)
    assert.equal(raw.text, '')
    redis.release()
    assert.equal(await raw.status(), 101)
    raw.destroy()
    await assertPlaceIsFree()
  })

  for (const [stage, needle] of [
    ['token', sessionAuth('leaver')],
    ['subscription', sessionDown('leaver')],
  ] as const) {
    it(`gives its place back when the client hangs up during the check of the ${stage}`, async () => {
      const aborted = await counted(gateway, 'aborted')
      redis.hold(needle)
      const raw = await knock(gateway, 'leaver')
      await eventually(() => redis.holds('\r\n'), 'the answer to be on its way')
      raw.destroy()
      await eventually(async () => (await counted(gateway, 'aborted')) === aborted + 1, 'the abort to be noticed')
      redis.release()
      await assertPlaceIsFree()
      await eventually(async () => (await listeners(gateway, sessionDown('leaver'))) === 0, 'the channel to be left')
      assert.equal(await counted(gateway, 'aborted'), aborted + 1)
      assert.equal(await gateway.metric('wsproxy_errors_total', { type: 'internal' }), 0)
    })
  }
})

describe('an upgrade for which Redis takes too long', () => {
  let redis: RelayedRedis
  let gateway: TestGateway
  before(async () => {
    redis = await startRelayedRedis()
    gateway = await startGateway({ redis, env: { MAX_CONNECTIONS: '2', HANDSHAKE_TIMEOUT: '300ms' } })
  })
  after(async () => {
    redis?.release()
    await gateway?.stop()
    await redis?.stop()
  })

  it('is refused with 504 at the token as at the subscription, and gives its place back', async () => {
    for (const needle of [sessionAuth('slow'), sessionDown('slow')]) {
      const before = await counted(gateway, 'redis-timeout')
      redis.hold(needle)
      const sockets = await Promise.all([knock(gateway, 'slow'), knock(gateway, 'slow-too')])
      await sockets[0].untilClosed()
      assertRefusal(answerOf(sockets[0]), REFUSED.redisTimeout)
      redis.release()
      await sockets[1].head()
      sockets[1].destroy()
      assert.ok((await counted(gateway, 'redis-timeout')) > before)
      await untilOpen(gateway, 0)
      const clients = [await eventually(() => gateway.join('next').catch(() => undefined), 'a place')]
      clients.push(await eventually(() => gateway.join('next-too').catch(() => undefined), 'the other place'))
      for (const client of clients) await client.close()
      await untilOpen(gateway, 0)
      await eventually(async () => (await listeners(gateway, sessionDown('slow'))) === 0, 'the channel to be left')
    }
  })
})

describe('without Redis an upgrade', { skip: withoutRealRedis }, () => {
  let redis: RealRedis
  let gateway: TestGateway
  before(async () => {
    redis = await startRealRedis()
    gateway = await startGateway({ redis, env: { MAX_CONNECTIONS: '1', HANDSHAKE_TIMEOUT: '300ms' } })
  })
  after(async () => {
    await gateway?.stop()
    await redis?.stop()
  })

  const assertServes = async (session: string) => {
    const client = await eventually(() => gateway.join(session).catch(() => undefined), 'an upgrade to be served again')
    publish(gateway, session, 'back')
    assert.deepEqual(await client.take(1), ['back'])
    await client.close()
    await untilOpen(gateway, 0)
  }

  it('is refused with 504 while it hangs, and served when it goes on', async () => {
    const token = await gateway.token('hung')
    redis.process.kill('SIGSTOP')
    try {
      await assertRefused(gateway, upgradeRequest('/a/ws/hung', withToken(token)), REFUSED.redisTimeout)
    } finally {
      redis.process.kill('SIGCONT')
    }
    await assertServes('after-hang')
  })

  it('is refused with 503, not 504, when it is gone, even for one that was already on its way', async (t) => {
    const patient = await startGateway({ redis, env: { HANDSHAKE_TIMEOUT: '60s' } })
    t.after(() => patient.stop())
    const token = await gateway.token('gone')
    redis.process.kill('SIGSTOP')
    const raw = await RawSocket.open(patient.http)
    raw.write(upgradeRequest('/a/ws/gone', withToken(token)))
    assert.equal((await fetch(`${patient.http}/version`)).status, 200)
    await redis.kill()
    await raw.untilClosed()
    assertRefusal(answerOf(raw), REFUSED.redisUnavailable)
    for (const each of [patient, gateway]) {
      await eventually(async () => (await each.metric('wsproxy_redis_up')) === 0, 'the loss to be noticed')
      await assertRefused(each, upgradeRequest('/a/ws/gone', withToken(token)), REFUSED.redisUnavailable)
    }
    await redis.restart()
    await assertServes('after-restart')
  })

  it('is refused with 500 when Redis forbids the channel, which harms nobody else', async () => {
    await eventually(() => gateway.agent.isReady, 'the agent to be back')
    const acl = (...rules: string[]) => gateway.agent.sendCommand(['ACL', 'SETUSER', 'default', ...rules])
    // With the channel of the canary: Redis cuts who is subscribed to what it forbids.
    await acl('resetchannels', '&session:allowed*', '&wsproxy:canary:*')
    try {
      const token = await gateway.token('forbidden')
      await assertRefused(gateway, upgradeRequest('/a/ws/forbidden', withToken(token)), REFUSED.internal)
      await assertServes('allowed')
    } finally {
      await acl('allchannels')
    }
    await assertServes('forbidden')
  })
})

describe('while the gateway drains an upgrade', () => {
  it('is refused with 503, as long as the listener is open', async (t) => {
    const gateway = await startGateway({ env: { DRAIN_DELAY: '20s' } })
    t.after(() => gateway.stop())
    const standing = await gateway.join('standing')
    const early = await RawSocket.open(gateway.http)
    const token = await gateway.token('late')
    const stopped = gateway.gateway.stop()
    await assertRefused(gateway, upgradeRequest('/a/ws/late', withToken(token)), REFUSED.draining)
    early.write(upgradeRequest('/a/ws/late', withToken(token)))
    await early.untilClosed()
    assertRefusal(answerOf(early), REFUSED.draining)
    assert.equal(await gateway.agent.exists(sessionAuth('late')), 1, 'the token is not spent')
    assert.equal(standing.code, undefined)
    await Promise.all([gateway.gateway.stop(), within(stopped, 'the end of the drain')])
  })

  it('that is on its way is refused with 503 as well, at any stage, and who comes later finds no listener', async (t) => {
    const redis = await startRelayedRedis()
    t.after(() => redis.stop())
    const gateway = await startGateway({ redis, env: { HANDSHAKE_TIMEOUT: '60s' } })
    t.after(() => gateway.stop())
    redis.hold(sessionDown('on-its-way'))
    const raw = await knock(gateway, 'on-its-way')
    await eventually(() => redis.holds(sessionDown('on-its-way')), 'the confirmation to be on its way')
    redis.hold(sessionAuth('at-the-token'))
    const other = await knock(gateway, 'at-the-token')
    const spent = async () => (await gateway.agent.exists(sessionAuth('at-the-token'))) === 0
    await eventually(spent, 'the answer to be on its way')
    const stopped = gateway.gateway.stop()
    for (const each of [raw, other]) {
      await each.untilClosed()
      assertRefusal(answerOf(each), REFUSED.draining)
    }
    redis.release()
    await within(stopped, 'the end of the drain')
    await assert.rejects(connect(gateway.sessionUrl('later'), { token: 'x' }), { code: 'ECONNREFUSED' })
  })

  it('leaves its socket open to the goodbye when it was complete before', async (t) => {
    const gateway = await startGateway()
    t.after(() => gateway.stop())
    const raw = await joinRaw(gateway, 'complete')
    await within(gateway.gateway.stop(), 'the end of the drain')
    await raw.untilClosed()
    assert.match(raw.text, /goodbye/)
  })
})
