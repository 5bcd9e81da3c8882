import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { WebSocket } from 'ws'
import { runAuth } from '../../src/contract/names.ts'
import { bareGatewayFor } from '../support/bare.ts'
import { startBrowser, withoutBrowser } from '../support/browser.ts'
import { type ConnectClientOptions, connect, refused, TestClient } from '../support/client.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { freePort } from '../support/ports.ts'
import { RawSocket, upgradeRequest } from '../support/raw.ts'
import { realRedisFor, redisFor, type TestRedis, withoutRealRedis } from '../support/redis.ts'
import { atEnd, scopeOf } from '../support/scope.ts'
import { eventually, within } from '../support/wait.ts'

const CLOSE = { SESSION_REFUSE: 'close', RUN_REFUSE: 'close', RUN_AUTH: 'bearer' }
const ORIGINS = { ALLOWED_ORIGINS: 'https://app.test' }

/** The close of a client that is accepted and refused, and the frames that came before it. */
async function closeOf(url: string, options: ConnectClientOptions = {}) {
  const client = await connect(url, options)
  const { code, reason } = await within(client.closed, 'the close')
  return [code, reason, client.frames.length]
}

/** What a client does wrong: its path, its options, and the close that it reads. */
const WRONG: Record<string, [path: string, options: ConnectClientOptions, code: number, reason: string]> = {
  'a session without a token': ['/a/ws/s1', {}, 4401, 'credentials-missing'],
  'a session with a malformed token': ['/a/ws/s1?access_token=x', {}, 4401, 'credentials-malformed'],
  'a session with a wrong token': ['/a/ws/s1', { token: 'wrong' }, 4401, 'token-rejected'],
  'a session of another origin': ['/a/ws/s1', { token: 'x', origin: 'https://b.test' }, 4403, 'origin-not-allowed'],
  'a session with a bad id': ['/a/ws/a%2Ab', { token: 'x' }, 4400, 'malformed-id'],
  'a session of an agent called health': ['/health/ws/s1', { token: 'x' }, 4404, 'not-found'],
  'a run without a token': ['/run-1', {}, 4401, 'credentials-missing'],
  'a run with a wrong token': ['/run-1', { token: 'wrong' }, 4401, 'token-rejected'],
  'a run with a bad id': ['/a%3Ab', { token: 'x' }, 4400, 'malformed-id'],
}

describe('SESSION_REFUSE=close and RUN_REFUSE=close', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let gateway: TestGateway
  before(async () => {
    redis = await redisFor(suite)
    gateway = await gatewayFor(suite, { redis, env: { ...CLOSE, ...ORIGINS } })
  })

  for (const [what, [path, options, code, reason]] of Object.entries(WRONG)) {
    it(`${what} is closed with ${code} ${reason} and no frame`, async () => {
      assert.deepEqual(await closeOf(gateway.url + path, options), [code, reason, 0])
      const door = what.startsWith('a run') ? 'run' : 'session'
      assert.ok((await gateway.metric('wsproxy_connections_total', { door, result: reason })) > 0)
      await eventually(async () => (await gateway.metric('wsproxy_active_connections', { door })) === 0, 'no socket')
    })
  }

  it('the same is plain HTTP by default', async (t) => {
    const plain = await gatewayFor(t, { redis, env: { ...ORIGINS, RUN_AUTH: 'bearer' } })
    for (const [path, options, , reason] of Object.values(WRONG))
      assert.equal((await refused(plain.url + path, options)).code, reason)
  })

  it('a right token opens a socket at both doors, and a browser gets its subprotocol with a refusal', async () => {
    await (await gateway.join('fine')).close()
    await gateway.agent.set(runAuth('run-2'), 'right')
    const run = await connect(`${gateway.url}/run-2`, { token: 'right' })
    await run.find({ type: 'preflight' })
    await run.close()
    const protocols = ['wsproxy.v1', `bearer.${Buffer.from('wrong').toString('base64url')}`]
    const client = new TestClient(new WebSocket(gateway.sessionUrl('s1'), protocols))
    assert.deepEqual(await within(client.closed, 'the close'), { code: 4401, reason: 'token-rejected' })
    assert.equal(client.socket.protocol, 'wsproxy.v1')
  })

  it('a client is closed with 4503 and a time to come back while Redis is away', async (t) => {
    const away = bareGatewayFor(t, `redis://127.0.0.1:${await freePort()}`, CLOSE)
    const [code, reason] = await closeOf(`${away.ws}/a/ws/s1`, { token: 'x' })
    assert.equal(code, 4503)
    assert.match(String(reason), /^redis-unavailable retry=[1-4]\d{3}$/)
  })

  it('a client is closed with 4503 when Redis does not answer in time', { skip: withoutRealRedis }, async (t) => {
    const own = await realRedisFor(t)
    const slow = await gatewayFor(t, { redis: own, env: { ...CLOSE, HANDSHAKE_TIMEOUT: '300ms' } })
    const token = await slow.token('slow')
    await slow.agent.sendCommand(['CLIENT', 'PAUSE', '1500', 'ALL'])
    const [code, reason] = await closeOf(slow.sessionUrl('slow'), { token })
    assert.equal(code, 4503)
    assert.match(String(reason), /^redis-(timeout|unavailable) retry=\d+$/)
  })

  it('a client over MAX_CONNECTIONS_PER_IP is closed with 4429, and its place is given back', async (t) => {
    const one = await gatewayFor(t, { redis, env: { ...CLOSE, MAX_CONNECTIONS_PER_IP: '1' } })
    const first = await one.join('first')
    for (let i = 0; i < 3; i++) {
      const [code, reason] = await closeOf(one.sessionUrl('second'), { token: await one.token('second') })
      assert.equal(code, 4429)
      assert.match(String(reason), /^address-limit retry=\d+$/)
    }
    await first.close()
    const second = await eventually(() => one.join('second').catch(() => undefined), 'the place')
    await eventually(() => second.code === undefined, 'an open socket')
    await second.close()
  })

  it('a channel that Redis forbids is closed with 4403', { skip: withoutRealRedis }, async (t) => {
    const own = await realRedisFor(t)
    const admin = await own.client()
    await admin.sendCommand(['ACL', 'SETUSER', 'limited', 'on', '>pw', '~*', '+@all', 'resetchannels', '&wsproxy:*'])
    const limited = { ...own, url: own.url.replace('//', '//limited:pw@'), client: () => own.client() }
    const other = await gatewayFor(t, { redis: limited, env: CLOSE })
    const token = await other.token('s1')
    assert.deepEqual(await closeOf(other.sessionUrl('s1'), { token }), [4403, 'forbidden', 0])
  })

  it('at capacity, over a connect rate, of another version and malformed it stays plain HTTP', async (t) => {
    const full = await gatewayFor(t, { redis, env: { ...CLOSE, MAX_CONNECTIONS: '1' } })
    const client = await full.join('first')
    assert.equal((await refused(full.sessionUrl('s'), { token: await full.token('s') })).code, 'at-capacity')
    assert.equal((await refused(full.sessionUrl('s'))).code, 'at-capacity')
    await client.close()
    const fast = await gatewayFor(t, { redis, env: { ...CLOSE, CONNECT_RATE_PER_IP: '1' } })
    await eventually(
      () =>
        connect(fast.sessionUrl('s')).then(
          () => false,
          ({ refused: { code } }) => code === 'connect-rate',
        ),
      'the rate',
    )
    for (const [headers, status] of [
      [{ 'Sec-WebSocket-Version': '8' }, 426],
      [{ 'Sec-WebSocket-Key': 'short' }, 400],
    ] as const) {
      const raw = await RawSocket.open(gateway.http)
      raw.write(upgradeRequest('/a/ws/s1', headers))
      assert.equal(await raw.status(), status)
      raw.destroy()
    }
    assert.equal((await fetch(`${gateway.http}/a/ws/s1`)).status, 426)
  })

  it('beyond REFUSED_OPEN_MAX it is plain HTTP, before Redis is asked and after', async (t) => {
    const few = await gatewayFor(t, { redis, env: { ...CLOSE, REFUSED_OPEN_MAX: '2' } })
    assert.equal((await closeOf(few.sessionUrl('s')))[0], 4401)
    assert.equal((await closeOf(few.sessionUrl('s'), { token: 'wrong' }))[0], 4401)
    assert.equal((await refused(few.sessionUrl('s'))).code, 'credentials-missing')
    assert.equal((await refused(few.sessionUrl('s'), { token: 'wrong' })).code, 'token-rejected')
  })

  it('a page reads the code and the reason in a browser', { skip: withoutBrowser }, async (t) => {
    const open = await gatewayFor(t, { redis, env: CLOSE })
    const browser = await startBrowser()
    atEnd(t, () => browser.close())
    const page = await browser.newPage()
    await page.goto(`${open.http}/health`)
    const read = (path: string, protocols: string[]) =>
      page.evaluate(
        ([url, offered]) =>
          new Promise((resolve) => {
            const socket = new WebSocket(url as string, offered as string[])
            socket.onclose = ({ code, reason }) => resolve(`${code} ${reason}`)
          }),
        [open.url + path, protocols] as const,
      )
    assert.equal(await read('/a/ws/s1', ['wsproxy.v1', 'bearer.d3Jvbmc']), '4401 token-rejected')
    assert.equal(await read('/a%3Ab', []), '4400 malformed-id')
  })
})
