import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sessionAuth } from '../../src/contract/names.ts'
import { connect, refused } from '../support/client.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { clientFrame, RawSocket, upgradeRequest } from '../support/raw.ts'
import { redisFor, type TestRedis } from '../support/redis.ts'
import {
  assertRefusal,
  assertRefused,
  counted,
  type HeaderFields,
  knock,
  REFUSED,
  withToken,
} from '../support/refusals.ts'
import { scopeOf } from '../support/scope.ts'
import { ask, untilOpen } from '../support/wire.ts'

describe('an upgrade', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite)
  })

  describe('is refused with 400 for an id that', () => {
    const paths = {
      'is 201 characters long': `/agent/ws/${'a'.repeat(201)}`,
      'is empty': '/agent/ws/',
      'is a glob': '/agent/ws/*',
      'has a glob in it': '/agent/ws/a[bc]*',
      'has an encoded space': '/agent/ws/a%20b',
      'has an encoded slash': '/agent/ws/a%2Fb',
      'has bytes that are not ASCII': '/agent/ws/caf\u00e9',
      'has a letter beyond Latin-1, whose lower byte is that of an A': '/agent/ws/\u0141bc',
      'names an agent with such a letter': '/\u0161gent/ws/abc',
      'has a semicolon, as only a run id may': '/agent/ws/a;b',
      'has braces': '/agent/ws/%7Ba%7D',
      'is encoded twice': '/agent/ws/a%2541',
      'names an agent of 201 characters': `/${'a'.repeat(201)}/ws/a`,
      'names an empty agent': '//ws/a',
    }
    for (const [name, path] of Object.entries(paths)) {
      it(`refuses an upgrade with 400 when an id ${name}`, () =>
        assertRefused(gateway, upgradeRequest(path, withToken('x')), REFUSED.malformedId))
    }

    it('refuses an upgrade when an id has a space, in the layer below', async () => {
      const { status } = await ask(gateway.http, upgradeRequest('/agent/ws/a b', withToken('x')))
      assert.ok([400, 505].includes(status), String(status))
    })
  })

  it('forgives one slash at the end and decodes ids once', async () => {
    const token = await gateway.token('u@e+x:1')
    await (await connect(`${gateway.url}/agent/ws/u%40e%2Bx%3a1/`, { token })).close()
  })

  it('has no path for an agent or a run that is named like a path of its own', async () => {
    for (const own of ['live', 'api', 'admin', 'dashboard', 'metrics', 'version', 'livez']) {
      const token = await gateway.token('own')
      const refused = await ask(gateway.http, upgradeRequest(`/${own}/ws/own`, withToken(token)))
      assert.deepEqual([refused.status, JSON.parse(refused.body).error.code], [404, 'not-found'], own)
    }
    for (const own of ['admin', 'api', 'dashboard', 'readyz']) {
      const { status } = await ask(gateway.http, upgradeRequest(`/${own}`))
      assert.equal(status, 404, own)
    }
  })

  it('accepts ids of 200 characters, of every kind that is allowed', async () => {
    const id = 'aZ09_.-~@=+:'.repeat(17).slice(0, 200)
    assert.equal(id.length, 200)
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
      it(`refuses an upgrade with 426 when its version is ${name}`, async () => {
        const token = await gateway.token('version')
        const request = upgradeRequest('/a/ws/version', withToken(token, { 'Sec-WebSocket-Version': version }))
        await assertRefused(gateway, request, REFUSED.version)
      })
    }
  })

  describe('is refused with 400 for', () => {
    const malformed: Record<string, HeaderFields> = {
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
      it(`refuses an upgrade with 400 when it has ${name}, and does not spend its token`, async () => {
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

  it('accepts an upgrade that names Upgrade among other tokens, in any case', async () => {
    const headers = { Connection: 'keep-alive , upGRADE', Upgrade: 'h2c, WebSocket' }
    const raw = await knock(gateway, 'tokens', headers)
    assert.equal(await raw.status(), 101)
    raw.destroy()
  })

  it('accepts an upgrade whose tokens are on header lines of their own, as a proxy writes them', async () => {
    const headers = { Connection: 'keep-alive\r\nConnection: Upgrade', Upgrade: 'h2c\r\nUpgrade: websocket' }
    const raw = await knock(gateway, 'lines', headers)
    assert.equal(await raw.status(), 101)
    raw.destroy()
  })

  it('refuses a POST to the path of a door with 405', () =>
    assertRefused(gateway, upgradeRequest('/a/ws/s', withToken('x'), 'POST /a/ws/s HTTP/1.1'), REFUSED.method))

  it('refuses a plain GET of the path of a door with 426', () =>
    assertRefused(gateway, 'GET /a/ws/s HTTP/1.1\r\nHost: x\r\n\r\n', REFUSED.upgradeRequired))

  it('refuses an upgrade with 404 when no door has its path', async () => {
    for (const path of ['/a/ws', '/a/ws/s//', '/a/ws/s/x', '/a/wss/s', '/a/WS/s', '/a/ws/b/ws/s']) {
      assertRefusal(await ask(gateway.http, upgradeRequest(path, withToken('x'))), { status: 404, code: 'not-found' })
    }
  })

  it('refuses an upgrade with 401 without a token and with 403 with a wrong one', async () => {
    await assertRefused(gateway, upgradeRequest('/a/ws/s'), REFUSED.credentialsMissing)
    await assertRefused(gateway, upgradeRequest('/a/ws/s', withToken('wrong')), REFUSED.tokenRejected)
  })

  it('logs a refusal with its code, and with a reason that the client does not get', async () => {
    const lines = () => gateway.log.filter(({ event, code }) => event === 'refused' && code === 'token-rejected')
    const seen = lines().length
    await gateway.token('logged')
    await refused(gateway.sessionUrl('logged'), { token: 'wrong' })
    await refused(gateway.sessionUrl('never'), { token: 'wrong' })
    const [wrong, absent] = lines().slice(seen)
    assert.match(String(wrong?.why), /differs from the one in Redis/)
    assert.match(String(absent?.why), /no such token/)
    assert.deepEqual(wrong?.conn, { door: 'session', session: 'logged', remote: '127.0.0.1' })
  })

  it('refuses an upgrade whose frames come before the 101, and gives its place back', async () => {
    const token = await gateway.token('early')
    const raw = await RawSocket.open(gateway.http)
    const request = upgradeRequest('/a/ws/early', withToken(token))
    raw.write(Buffer.concat([Buffer.from(request), clientFrame(1, '{"early":true}')]))
    await raw.untilClosed()
    assert.ok(!raw.text.startsWith('HTTP/1.1 101'), raw.text)
    await untilOpen(gateway, 0)
    await (await gateway.join('early')).close()
  })

  it('counts an accepted upgrade and measures its duration', async () => {
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
  const suite = scopeOf(after)
  let redis: TestRedis
  let listed: TestGateway
  let required: TestGateway
  before(async () => {
    redis = await redisFor(suite)
    const ALLOWED_ORIGINS = 'https://app.example.org, cli.example.com, *.example.net'
    listed = await gatewayFor(suite, { redis, env: { ALLOWED_ORIGINS } })
    required = await gatewayFor(suite, { redis, env: { REQUIRE_ORIGIN: 'true' } })
  })

  it('accepts an origin that is listed in full, by its host, or below a wildcard', async () => {
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

  it('refuses an origin that is not listed with 403, before the token is spent', async () => {
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

  it('accepts an upgrade without an origin, as command-line clients send none, unless one is required', async () => {
    await (await listed.join('cli')).close()
    const token = await required.token('cli')
    await assertRefused(required, upgradeRequest('/a/ws/cli', withToken(token)), REFUSED.origin)
    await (await connect(required.sessionUrl('cli'), { token, origin: 'https://any.test' })).close()
  })
})
