import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { WebSocket } from 'ws'
import { type ConfigError, loadConfig } from '../../../src/config/load.ts'
import { type ConnectClientOptions, connect, refused, TestClient } from '../../support/client.ts'
import { gatewayFor, type TestGateway } from '../../support/gateway.ts'
import { live } from '../../support/live.ts'
import { redisFor, type TestRedis } from '../../support/redis.ts'
import { scopeOf } from '../../support/scope.ts'
import { eventually, within } from '../../support/wait.ts'

const TOKEN = 'shared-token-of-the-tests'
const REQUIRED = { WS_AUTH_REQUIRED: 'true', WS_AUTH_TOKEN: TOKEN, WS_ALLOWED_ORIGINS: 'https://*.good.test' }
const base64url = (text: string) => Buffer.from(text).toString('base64url')

/** Clients that are refused, with the close that a browser sees and the HTTP status and code. */
const REFUSED: Record<string, [ConnectClientOptions & { query?: string }, number, number, string]> = {
  'a client without a token': [{}, 4401, 401, 'credentials-missing'],
  'a client with another token': [{ token: 'another' }, 4401, 403, 'token-rejected'],
  'a client with the beginning of the token': [{ token: TOKEN.slice(0, -1) }, 4401, 403, 'token-rejected'],
  'a client without a bearer scheme': [
    { headers: { Authorization: 'Basic eA==' } },
    4401,
    401,
    'credentials-malformed',
  ],
  'a client with its token in the query': [{ query: `?access_token=${TOKEN}` }, 4401, 401, 'credentials-malformed'],
  'a client from another origin': [{ token: TOKEN, origin: 'https://good.test' }, 4403, 403, 'origin-not-allowed'],
}

describe('who may enter the live door', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let byClose: TestGateway
  let byHttp: TestGateway
  before(async () => {
    redis = await redisFor(suite)
    byClose = await gatewayFor(suite, { redis, env: REQUIRED })
    byHttp = await gatewayFor(suite, { redis, env: { ...REQUIRED, LIVE_REFUSE: 'http' } })
  })

  for (const [who, [{ query = '', ...options }, close, status, code]] of Object.entries(REFUSED)) {
    it(`${who} is closed with ${close} and no frame, or refused with ${status} ${code}`, async () => {
      const client = await connect(`${byClose.url}/live${query}`, options)
      assert.equal((await within(client.closed, 'the close')).code, close)
      assert.deepEqual(client.frames, [])
      const { status: came, code: told } = await refused(`${byHttp.url}/live${query}`, options)
      assert.deepEqual([came, told], [status, code])
      for (const gateway of [byClose, byHttp]) {
        await eventually(
          async () => (await gateway.metric('wsproxy_connections_total', { door: 'live', result: code })) > 0,
          'the count',
        )
      }
    })
  }

  it('the token in the header or the subprotocol, and an allowed origin, open a socket', async () => {
    const withHeader = await live(byClose, '/live', { token: TOKEN })
    const withOrigin = await live(byClose, '/live', { token: TOKEN, origin: 'https://a.good.test' })
    const protocols = ['wsproxy.v1', `bearer.${base64url(TOKEN)}`]
    const withProtocol = new TestClient(new WebSocket(`${byClose.url}/live`, protocols))
    await withProtocol.take(1)
    assert.equal(withProtocol.socket.protocol, 'wsproxy.v1')
    for (const { socket } of [withHeader, withOrigin, withProtocol]) socket.terminate()
  })

  it('refused clients are counted, and the token never appears in the log', async () => {
    await connect(`${byClose.url}/live?access_token=${TOKEN}`, {}).then(({ closed }) => closed)
    const page = await (await fetch(`${byClose.http}/api/dashboard/metrics/websockets`)).text()
    assert.match(page, /wsproxy_live_auth_denied_total [1-9]/)
    assert.match(page, /wsproxy_live_origin_denied_total [1-9]/)
    assert.ok(!JSON.stringify(byClose.log).includes(TOKEN))
  })

  it('a refused client takes a place in the limits until it is gone', async (t) => {
    const gateway = await gatewayFor(t, { redis, env: { ...REQUIRED, MAX_CONNECTIONS: '1' } })
    for (let i = 0; i < 5; i++) {
      const client = await eventually(() => connect(`${gateway.url}/live`).catch(() => undefined), 'a place')
      assert.equal((await within(client.closed, 'the close')).code, 4401)
    }
    const client = await eventually(() => live(gateway, '/live', { token: TOKEN }).catch(() => undefined), 'the place')
    assert.equal((await refused(`${gateway.url}/live`)).code, 'at-capacity')
    assert.equal(await gateway.metric('wsproxy_active_connections', { door: 'live' }), 1)
    client.socket.terminate()
  })

  it('the live door uses ALLOWED_ORIGINS when WS_ALLOWED_ORIGINS is not set', async (t) => {
    const gateway = await gatewayFor(t, { redis, env: { ALLOWED_ORIGINS: 'https://one.test', LIVE_REFUSE: 'http' } })
    ;(await live(gateway, '/live', { origin: 'https://one.test' })).socket.terminate()
    assert.equal((await refused(`${gateway.url}/live`, { origin: 'https://two.test' })).code, 'origin-not-allowed')
  })
})

describe('settings of the live door', () => {
  const problemsOf = (env: Record<string, string>): readonly string[] => {
    try {
      loadConfig(env)
      return []
    } catch (error) {
      return (error as ConfigError).problems
    }
  }

  it('the problems of the settings name every list entry that can match nothing', () => {
    const problems = problemsOf({
      ALLOWED_ORIGINS: 'https://a.test,https://*,https://b.test/path',
      WS_ALLOWED_ORIGINS: 'a b',
      LIVE_TOPICS: 'good,good.*,Bad,*,a*b,x:y',
    })
    const begin = (text: string) => problems.filter((line) => line.startsWith(text)).length
    assert.deepEqual(
      [
        'ALLOWED_ORIGINS: "https://*"',
        'ALLOWED_ORIGINS: "https://b.test/path"',
        'WS_ALLOWED_ORIGINS: "a b"',
        'LIVE_TOPICS: "Bad"',
        'LIVE_TOPICS: "*"',
        'LIVE_TOPICS: "a*b"',
        'LIVE_TOPICS: "x:y"',
      ].map(begin),
      [1, 1, 1, 1, 1, 1, 1],
    )
    assert.equal(problems.length, 7)
  })

  it('WS_AUTH_REQUIRED without WS_AUTH_TOKEN is a problem of the settings', () => {
    assert.match(String(problemsOf({ WS_AUTH_REQUIRED: 'true' })), /^WS_AUTH_TOKEN: must be set/)
    assert.deepEqual(problemsOf({ WS_AUTH_REQUIRED: 'true', WS_AUTH_TOKEN: 'x', ALLOWED_ORIGINS: '*' }), [])
  })
})
