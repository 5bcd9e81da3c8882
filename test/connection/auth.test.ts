import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { WebSocket } from 'ws'
import { chosenProtocol, readCredentials } from '../../src/connection/auth.ts'
import { sessionAuth } from '../../src/contract/names.ts'
import { connect, RefusedError, refused } from '../support/client.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { RawSocket, upgradeRequest } from '../support/raw.ts'
import { redisFor, type TestRedis, withoutRealRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually, within } from '../support/wait.ts'
import { type Answer, answerOf } from '../support/wire.ts'

const base64url = (text: string) => Buffer.from(text).toString('base64url')
const codeOf = ({ body }: Answer) => JSON.parse(body).error.code

describe('tokens', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let single: TestGateway
  let grace: TestGateway
  let reusable: TestGateway
  let query: TestGateway
  /** Every token that any test has brought, right or wrong. */
  const brought: string[] = []

  before(async () => {
    redis = await redisFor(suite)
    const start = (env: Record<string, string> = {}) =>
      gatewayFor(suite, { redis, env: { LOG_LEVEL: 'trace', ...env } })
    single = await start()
    grace = await start({ AUTH_RECONNECT_GRACE: '30s' })
    reusable = await start({ AUTH_TOKEN_MODE: 'reusable' })
    query = await start({ AUTH_ALLOW_QUERY_TOKEN: 'true' })
  })

  let made = 0
  /** A token of 60 s and the session it is for. */
  async function fresh(
    token = `secret-${Math.random()}-${Math.random()}`,
  ): Promise<{ session: string; token: string }> {
    const session = `auth-${++made}`
    brought.push(token)
    return { session, token: await single.token(session, token) }
  }
  const keyExists = async (session: string) => (await single.agent.exists(sessionAuth(session))) === 1
  const ttl = (session: string) => single.agent.pTTL(sessionAuth(session))

  async function enters(gateway: TestGateway, session: string, token: string): Promise<void> {
    brought.push(token)
    await (await connect(gateway.sessionUrl(session), { token })).close()
  }
  async function rejects(gateway: TestGateway, session: string, token: string): Promise<void> {
    brought.push(token)
    const { status, code } = await refused(gateway.sessionUrl(session), { token })
    assert.deepEqual([status, code], [403, 'token-rejected'])
  }
  /** The answer to an upgrade with these headers: the head of a 101, or the whole refusal. */
  async function upgrade(gateway: TestGateway, path: string, headers: Record<string, string>): Promise<Answer> {
    const raw = await RawSocket.open(gateway.http)
    raw.write(upgradeRequest(path, headers))
    if ((await raw.status()) !== 101) await raw.untilClosed()
    raw.destroy()
    return answerOf(raw)
  }

  describe('that are single-use', () => {
    it('opens one socket with a single-use token and deletes it', async () => {
      const { session, token } = await fresh()
      const client = await connect(single.sessionUrl(session), { token })
      assert.equal(await keyExists(session), false)
      await rejects(single, session, token)
      await client.close()
      await rejects(single, session, token)
    })

    it('lets exactly one of 50 simultaneous upgrades in with a single-use token, whatever other sessions do meanwhile', async () => {
      const sessions = await Promise.all([fresh(), fresh(), fresh()])
      const race = async ({ session, token }: { session: string; token: string }) => {
        const url = single.sessionUrl(session)
        const attempts = Array.from({ length: 50 }, () => connect(url, { token }).catch((error: unknown) => error))
        const outcomes = await Promise.all(attempts)
        const errors = outcomes.filter((each) => each instanceof Error)
        for (const error of errors) {
          assert.ok(error instanceof RefusedError, String(error))
          assert.deepEqual([error.refused.status, error.refused.code], [403, 'token-rejected'])
        }
        assert.equal(errors.length, 49)
      }
      await Promise.all(sessions.map(race))
    })

    it('does not spend a single-use token on a wrong guess, nor on a request that is refused before the token is checked', async () => {
      const { session, token } = await fresh()
      await rejects(single, session, `${token}x`)
      await rejects(single, session, token.slice(0, -1))
      const versionless = await upgrade(single, `/a/ws/${session}`, {
        Authorization: `Bearer ${token}`,
        'Sec-WebSocket-Version': '12',
      })
      assert.equal(versionless.status, 426)
      await enters(single, session, token)
    })
  })

  describe('with a reconnect grace', () => {
    it('shortens the life of a token to the grace at the first success, and does not lengthen it at the next', async () => {
      const { session, token } = await fresh()
      await enters(grace, session, token)
      const first = await ttl(session)
      assert.ok(first > 0 && first <= 30_000, `${first} ms are left`)
      await single.agent.pExpire(sessionAuth(session), 20_000)
      await enters(grace, session, token)
      const second = await ttl(session)
      assert.ok(second > 0 && second <= 20_000, `${second} ms are left`)
    })

    it('keeps the life of a token that is shorter than the grace', async () => {
      const { session, token } = await fresh()
      await single.agent.pExpire(sessionAuth(session), 10_000)
      await enters(grace, session, token)
      const left = await ttl(session)
      assert.ok(left > 0 && left <= 10_000, `${left} ms are left`)
    })

    it('lets a token without a TTL expire after the grace', async () => {
      const { session, token } = await fresh()
      await single.agent.persist(sessionAuth(session))
      await enters(grace, session, token)
      const left = await ttl(session)
      assert.ok(left > 0 && left <= 30_000, `${left} ms are left`)
    })

    it('does not shorten the life of a token after a wrong guess', async () => {
      const { session, token } = await fresh()
      await rejects(grace, session, `${token}x`)
      assert.ok((await ttl(session)) > 30_000)
    })

    it('refuses a token once the grace is over', async () => {
      const { session, token } = await fresh()
      await enters(grace, session, token)
      await single.agent.pExpire(sessionAuth(session), 1)
      await eventually(async () => !(await keyExists(session)), 'the token to expire')
      await rejects(grace, session, token)
    })
  })

  describe('that are reusable', () => {
    it('opens any number of sockets with a reusable token and keeps its TTL', async () => {
      const { session, token } = await fresh()
      const clients = await Promise.all(
        Array.from({ length: 10 }, () => connect(reusable.sessionUrl(session), { token })),
      )
      assert.ok((await ttl(session)) > 30_000)
      for (const client of clients) await client.close()
      await enters(reusable, session, token)
    })

    it('leaves a reusable token without a TTL as it is', async () => {
      const { session, token } = await fresh()
      await single.agent.persist(sessionAuth(session))
      await enters(reusable, session, token)
      assert.equal(await ttl(session), -1)
    })
  })

  describe('are rejected with 403 and one and the same body', () => {
    it('rejects a token with 403 and the same body when it is wrong, was never made, or belongs to another session', async () => {
      const [mine, other] = await Promise.all([fresh(), fresh()])
      const attempts = [
        [mine.session, other.token],
        [mine.session, mine.token.toUpperCase()],
        [`never-${mine.session}`, mine.token],
      ] as const
      const bodies = new Set<string>()
      for (const [session, token] of attempts) {
        brought.push(token)
        const answer = await upgrade(single, `/a/ws/${session}`, { Authorization: `Bearer ${token}` })
        assert.deepEqual([answer.status, codeOf(answer)], [403, 'token-rejected'])
        assert.equal(answer.headers['www-authenticate'], undefined)
        bodies.add(answer.body)
      }
      assert.equal(bodies.size, 1)
      await enters(single, mine.session, mine.token)
      await enters(single, other.session, other.token)
    })

    it('rejects a token with 403 and the same body when the key holds no string', async () => {
      const { session, token } = await fresh()
      await single.agent.del(sessionAuth(session))
      await single.agent.hSet(sessionAuth(session), token, token)
      await rejects(single, session, token)
      await single.agent.del(sessionAuth(session))
      await single.agent.rPush(sessionAuth(session), token)
      await rejects(single, session, token)
      assert.equal(await keyExists(session), true)
    })

    it('rejects every token with 403 and the same body when the key holds an empty string', async () => {
      const { session } = await fresh()
      await single.agent.set(sessionAuth(session), '')
      await rejects(single, session, 'x')
      for (const value of ['Bearer ', 'Bearer']) {
        const answer = await upgrade(single, `/a/ws/${session}`, { Authorization: value })
        assert.deepEqual([answer.status, codeOf(answer)], [401, 'credentials-malformed'])
      }
    })
  })

  describe('in the Authorization header', () => {
    it('finds a token in the Authorization header with any case of the scheme, any visible characters and any number of spaces', async () => {
      for (const scheme of ['Bearer', 'bearer', 'BEARER', 'Bearer  ']) {
        const { session, token } = await fresh(`!#$%&'()*+,-./09:;<=>?@AZ[]^_\`az{|}~"\\${Math.random()}`)
        const answer = await upgrade(single, `/a/ws/${session}`, { Authorization: `${scheme} ${token}` })
        assert.equal(answer.status, 101, scheme)
      }
    })

    it('accepts a token in the Authorization header that is as long as a large JWT', async () => {
      const { session, token } = await fresh(`ey${'J0'.repeat(6000)}${Math.random()}`)
      await enters(single, session, token)
    })

    it('answers a token in the Authorization header past 16 KB with 431, in the layer below', async () => {
      const raw = await RawSocket.open(single.http)
      raw.write(upgradeRequest('/a/ws/long', { Authorization: `Bearer ${'x'.repeat(20_000)}` }))
      await raw.untilClosed()
      assert.equal(await raw.status(), 431)
    })

    it('prefers the token in the Authorization header to those in the subprotocol and in the query', async () => {
      const { session, token } = await fresh()
      const protocols = `wsproxy.v1, bearer.${base64url('another')}`
      const path = `/a/ws/${session}?access_token=another`
      const wrong = {
        Authorization: 'Bearer another',
        'Sec-WebSocket-Protocol': `wsproxy.v1, bearer.${base64url(token)}`,
      }
      assert.equal((await upgrade(query, path, wrong)).status, 403)
      const right = { Authorization: `Bearer ${token}`, 'Sec-WebSocket-Protocol': protocols }
      assert.equal((await upgrade(query, path, right)).status, 101)
    })
  })

  describe('in the subprotocol', () => {
    it('answers a token in the subprotocol with wsproxy.v1, as a browser needs it', async () => {
      const { session, token } = await fresh()
      const socket = new WebSocket(single.sessionUrl(session), ['wsproxy.v1', `bearer.${base64url(token)}`])
      await within(new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject)), 'the open')
      assert.equal(socket.protocol, 'wsproxy.v1')
      socket.terminate()
    })

    it('never echoes a token, wherever it stands in the list of subprotocols and whatever it is made of', async () => {
      const lists = (bearer: string) => [
        `wsproxy.v1, ${bearer}`,
        `${bearer},wsproxy.v1`,
        `chat , wsproxy.v9,${bearer} ,wsproxy.v1`,
        `wsproxy.v1, ${bearer}==`,
      ]
      for (const i of lists('').keys()) {
        const { session, token } = await fresh(`é😀 "${Math.random()}"`)
        const protocols = lists(`bearer.${base64url(token)}`)[i]!
        const raw = await RawSocket.open(single.http)
        raw.write(upgradeRequest(`/a/ws/${session}`, { 'Sec-WebSocket-Protocol': protocols }))
        assert.equal(await raw.status(), 101, protocols)
        assert.equal(answerOf(raw).headers['sec-websocket-protocol'], 'wsproxy.v1')
        assert.ok(!raw.text.includes('bearer'))
        raw.destroy()
      }
    })

    it('finds a token in a subprotocol header line of its own', async () => {
      const { session, token } = await fresh()
      const request = upgradeRequest(`/a/ws/${session}`, {
        'Sec-WebSocket-Protocol': `wsproxy.v1\r\nSec-WebSocket-Protocol: bearer.${base64url(token)}`,
      })
      const raw = await RawSocket.open(single.http)
      raw.write(request)
      assert.equal(await raw.status(), 101)
      raw.destroy()
    })

    it('answers wsproxy.v1 also without a token beside it, and only to a client that offers it', async () => {
      const [first, second] = await Promise.all([fresh(), fresh()])
      const offered = { Authorization: `Bearer ${first.token}`, 'Sec-WebSocket-Protocol': 'chat, wsproxy.v1' }
      const answer = await upgrade(single, `/a/ws/${first.session}`, offered)
      assert.equal(answer.headers['sec-websocket-protocol'], 'wsproxy.v1')
      const other = { Authorization: `Bearer ${second.token}`, 'Sec-WebSocket-Protocol': 'chat' }
      const silent = await upgrade(single, `/a/ws/${second.session}`, other)
      assert.deepEqual([silent.status, silent.headers['sec-websocket-protocol']], [101, undefined])
    })
  })

  describe('in the query', () => {
    it('refuses a token in the query with 401 and does not spend it, unless the operator allows it', async () => {
      const { session, token } = await fresh()
      const path = `/a/ws/${session}?access_token=${token}`
      const answer = await upgrade(single, path, {})
      assert.deepEqual([answer.status, codeOf(answer)], [401, 'credentials-malformed'])
      assert.equal(await keyExists(session), true)
      assert.equal((await upgrade(query, path, {})).status, 101)
      assert.equal(await keyExists(session), false)
    })

    it('percent-decodes a token in the query, among any other parameters', async () => {
      const { session, token } = await fresh(`a+b&c=${Math.random()}é`)
      const path = `/a/ws/${session}?x=1&access_token=${encodeURIComponent(token)}&y=`
      assert.equal((await upgrade(query, path, {})).status, 101)
    })

    it('calls a query without the parameter a missing token, and an empty parameter a malformed one', async () => {
      const cases = { '': 'missing', '?': 'missing', '?token=x': 'missing', '?access_token=': 'malformed' }
      for (const [search, what] of Object.entries(cases)) {
        const answer = await upgrade(query, `/a/ws/s${search}`, {})
        assert.deepEqual([answer.status, codeOf(answer)], [401, `credentials-${what}`], search)
      }
    })
  })

  describe('that cannot be one', () => {
    const protocol = (value: string) => ({ 'Sec-WebSocket-Protocol': value })
    const malformed: Record<string, Record<string, string>> = {
      'another scheme': { Authorization: 'Basic dTpw' },
      'a scheme without a token': { Authorization: 'Bearer' },
      'a token without a scheme': { Authorization: 'secret-without-scheme' },
      'two words': { Authorization: 'Bearer secret words' },
      'a scheme that only begins like it': { Authorization: 'Bearerx secret' },
      'bytes that are not ASCII': { Authorization: 'Bearer s\u00e9cret' },
      'base64 that is not base64url': protocol('wsproxy.v1, bearer.ab+/'),
      'nothing after bearer.': protocol('wsproxy.v1, bearer.'),
      'half a byte of base64url': protocol('wsproxy.v1, bearer.A'),
      'bytes that are not UTF-8': protocol(`wsproxy.v1, bearer.${Buffer.from([0xff, 0xfe]).toString('base64url')}`),
      'bearer. without wsproxy.v1': protocol(`bearer.${base64url('secret')}`),
      'bearer. beside another protocol': protocol(`wsproxy.v9, bearer.${base64url('secret')}`),
    }
    for (const [name, headers] of Object.entries(malformed)) {
      it(`refuses malformed credentials with 401: ${name}`, async () => {
        const { session } = await fresh('secret')
        const answer = await upgrade(single, `/a/ws/${session}`, headers)
        assert.deepEqual([answer.status, codeOf(answer)], [401, 'credentials-malformed'])
        assert.equal(answer.headers['www-authenticate'], 'Bearer error="invalid_request"')
        assert.equal(await keyExists(session), true)
      })
    }

    it('refuses an upgrade without any token with 401 and a bare challenge', async () => {
      for (const headers of [{}, protocol('wsproxy.v1'), protocol('chat, Bearer.abc'), { Cookie: 'token=secret' }]) {
        const answer = await upgrade(single, '/a/ws/s', headers)
        assert.deepEqual([answer.status, codeOf(answer)], [401, 'credentials-missing'])
        assert.equal(answer.headers['www-authenticate'], 'Bearer')
      }
    })
  })

  it('a cookie opens no session, whatever its name', async () => {
    const { session, token } = await fresh()
    const names = ['token', 'access_token', 'Authorization', 'bearer', 'session', session, 'wsproxy']
    for (const value of [token, base64url(token), `Bearer ${token}`]) {
      const Cookie = names.map((name) => `${name}=${value}`).join('; ')
      const answer = await upgrade(single, `/a/ws/${session}`, { Cookie, Origin: 'https://another.example' })
      assert.deepEqual([answer.status, codeOf(answer)], [401, 'credentials-missing'])
    }
    assert.equal(await keyExists(session), true)
  })

  it('never sends a token to Redis, as MONITOR shows', { skip: withoutRealRedis }, async () => {
    const [header, browser, wrong] = await Promise.all([fresh(), fresh(), fresh()])
    const monitor = await RawSocket.open(redis.url)
    monitor.write('MONITOR\r\n')
    await eventually(() => monitor.text.startsWith('+OK'), 'MONITOR to start')
    await enters(single, header.session, header.token)
    const protocols = `wsproxy.v1, bearer.${base64url(browser.token)}`
    assert.equal(
      (await upgrade(grace, `/a/ws/${browser.session}`, { 'Sec-WebSocket-Protocol': protocols })).status,
      101,
    )
    await rejects(single, wrong.session, `${wrong.token}x`)
    await single.agent.ping('the last command')
    await eventually(() => monitor.text.includes('the last command'), 'MONITOR to show all')
    monitor.destroy()
    for (const { session, token } of [header, browser, wrong]) {
      assert.ok(monitor.text.includes(sessionAuth(session)), 'the check itself is shown')
      for (const form of [token, base64url(token)]) assert.ok(!monitor.text.includes(form))
    }
  })

  it('accepts a token after Redis has forgotten its scripts', async () => {
    const { session, token } = await fresh()
    await single.agent.scriptFlush()
    await enters(single, session, token)
  })

  // Last, when all tests above have left their lines.
  it('writes a token to no log line, in no form', async () => {
    const lines = [single, grace, reusable, query].flatMap(({ log }) => log.map((line) => JSON.stringify(line)))
    assert.ok(lines.length > 100)
    // What was brought includes words that any line may have.
    const telling = new Set(brought.filter((token) => token.length > 12))
    assert.ok(telling.size > 20)
    const log = lines.join('\n')
    for (const token of telling) {
      const inJson = JSON.stringify(token).slice(1, -1)
      for (const form of [token, inJson, base64url(token), encodeURIComponent(token)]) {
        assert.ok(!log.includes(form), `${form} is in the log`)
      }
    }
    assert.ok(!log.includes('secret'), 'part of a token is in the log')
  })
})

describe('credentials', () => {
  it('returns credentials or a refusal for any bytes that a client may send, and never throws', () => {
    const junk = [
      '',
      ' ',
      ',',
      ',,',
      'bearer.',
      'bearer.=',
      'wsproxy.v1,',
      'Bearer \t',
      'bearer',
      '\u0000',
      'Bearer \u007f',
    ]
    for (const authorization of junk) {
      for (const protocol of junk) {
        for (const query of [...junk, 'access_token=%', 'access_token=%ff', 'access_token']) {
          const result = readCredentials(
            { authorization, offered: protocol, protocol: chosenProtocol(protocol), query },
            true,
          )
          assert.ok('code' in result || result.token !== '', JSON.stringify({ authorization, protocol, query }))
        }
      }
    }
  })
})
