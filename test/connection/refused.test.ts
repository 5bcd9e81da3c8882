import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { connect } from '../support/client.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { RawSocket, upgradeRequest } from '../support/raw.ts'
import { redisFor, type TestRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'
import { type Answer, answerOf } from '../support/wire.ts'

const LIVE = { WS_AUTH_REQUIRED: 'true', WS_AUTH_TOKEN: 'a-live-token-of-a-test' }
const bearer = (token: string) => ({ Authorization: `Bearer ${token}` })

describe('refused upgrades', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  before(async () => {
    redis = await redisFor(suite)
  })
  const start = (env: Record<string, string>) => gatewayFor(suite, { redis, env })

  /** The answers to `count` upgrades that are sent at once. */
  async function flood(gateway: TestGateway, count: number, request: (i: number) => string): Promise<Answer[]> {
    return Promise.all(
      Array.from({ length: count }, async (_, i) => {
        const raw = await RawSocket.open(gateway.http)
        raw.write(request(i))
        await raw.untilClosed()
        return answerOf(raw)
      }),
    )
  }
  const withStatus = (answers: readonly Answer[], status: number) => answers.filter((each) => each.status === status)
  /** The first warning about a limit. */
  const warning = ({ log }: TestGateway) => eventually(() => log.find(({ event }) => event === 'limit'), 'the warning')

  const KINDS: Record<string, [number, (i: number) => string]> = {
    'without a token': [401, () => upgradeRequest('/a/ws/s1')],
    'with a guessed session token': [403, (i) => upgradeRequest('/a/ws/s1', bearer(`guess-${i}`))],
    'with a guessed live token': [403, (i) => upgradeRequest('/live', bearer(`guess-${i}`))],
    'of another origin': [403, () => upgradeRequest('/live', { Origin: 'https://evil.example', ...bearer('x') })],
    'with a bad id': [400, () => upgradeRequest('/a/ws/%00')],
    'on an unknown path': [404, () => upgradeRequest('/no/such/path/at/all')],
    'of another version': [426, () => upgradeRequest('/a/ws/s1', { 'Sec-WebSocket-Version': '8' })],
  }
  for (const [kind, [status, request]] of Object.entries(KINDS)) {
    it(`${kind} are slowed: past REFUSED_RATE_PER_IP the address gets 429, which names the setting`, async () => {
      const env = { REFUSED_RATE_PER_IP: '5', LIVE_REFUSE: 'http', ALLOWED_ORIGINS: 'https://app.example', ...LIVE }
      const gateway = await start(env)
      // One after another, so that each is counted before the next one comes.
      const answers: Answer[] = []
      const startedAt = performance.now()
      for (let i = 0; i < 40; i++) answers.push(...(await flood(gateway, 1, () => request(i))))
      const seconds = (performance.now() - startedAt) / 1000
      const looked = withStatus(answers, status).length
      assert.equal(looked + withStatus(answers, 429).length, 40)
      assert.ok(looked >= 10 && looked <= 10 + Math.ceil(5 * seconds), `${looked} in ${seconds} s`)
      assert.match(withStatus(answers, 429)[0]!.body, /REFUSED_RATE_PER_IP is 5 a second/)
      const metric = () => gateway.metric('wsproxy_limit_refusals_total', { limit: 'REFUSED_RATE_PER_IP' })
      assert.equal(await metric(), 40 - looked)
      const line = await warning(gateway)
      assert.deepEqual([line.level, line.limit, line.value], ['warn', 'REFUSED_RATE_PER_IP', 5])
      assert.deepEqual([line.address, line.cause], ['127.0.0.1', undefined])
    })
  }

  it('of one address cost another address nothing', async () => {
    const env = { REFUSED_RATE_PER_IP: '1', TRUST_PROXY: 'x-forwarded-for' }
    const gateway = await start(env)
    const headers = (ip: string) => ({ 'X-Forwarded-For': ip })
    const guess = () => upgradeRequest('/a/ws/s1', headers('203.0.113.1'))
    assert.ok(withStatus(await flood(gateway, 20, guess), 429).length >= 10)
    const client = await gateway.join('other', { headers: headers('203.0.113.2') })
    await client.close()
    const token = await gateway.token('mine')
    const open = () => connect(gateway.sessionUrl('mine'), { token, headers: headers('203.0.113.1') })
    // A correct token does not pass either while the address is over its rate: else it could be guessed.
    await assert.rejects(open())
    await (await eventually(() => open().catch(() => undefined), 'the bucket to drain')).close()
  })

  it('of a proxy that TRUST_PROXY does not name are not held against its clients, but the log says so', async () => {
    const gateway = await start({ REFUSED_RATE_PER_IP: '1', CONNECT_RATE_PER_IP: '1' })
    const guess = (i: number) => upgradeRequest('/a/ws/s1', { 'X-Forwarded-For': `203.0.113.${i}` })
    assert.equal(withStatus(await flood(gateway, 20, guess), 401).length, 20)
    const line = await warning(gateway)
    assert.match(String(line.cause), /X-Forwarded-For.*TRUST_PROXY=none.*set TRUST_PROXY/)
    assert.deepEqual([line.refused, Number(line.passed) > 0], [0, true])
  })

  it('by a limit on sockets name the likely cause as well when they were forwarded', async () => {
    const gateway = await start({ MAX_CONNECTIONS_PER_IP: '1' })
    const client = await gateway.join('first')
    const token = await gateway.token('second')
    const request = () => upgradeRequest('/a/ws/second', { Forwarded: 'for=203.0.113.1', ...bearer(token) })
    const [answer] = await flood(gateway, 1, request)
    assert.match(answer!.body, /MAX_CONNECTIONS_PER_IP is 1/)
    const line = await warning(gateway)
    assert.deepEqual([line.limit, line.refused], ['MAX_CONNECTIONS_PER_IP', 1])
    assert.match(String(line.cause), /set TRUST_PROXY/)
    await client.close()
  })

  it('are logged by sample', async () => {
    const gateway = await start({})
    await flood(gateway, 300, () => upgradeRequest('/a/ws/s1'))
    const lines = () => gateway.log.filter(({ event }) => event === 'refused')
    assert.ok(lines().length < 200, `${lines().length} lines`)
    await eventually(async () => {
      await flood(gateway, 1, () => upgradeRequest('/a/ws/s1'))
      return lines().some(({ skipped }) => Number(skipped) > 0)
    }, 'a line that counts the others')
    const skipped = lines().reduce((sum, line) => sum + Number(line.skipped ?? 0), 0)
    const counted = await gateway.metric('wsproxy_connections_total', {
      door: 'session',
      result: 'credentials-missing',
    })
    assert.ok(lines().length + skipped <= counted)
  })

  it('are plain HTTP beyond REFUSED_OPEN_MAX sockets that are open only to be closed', async () => {
    const gateway = await start({ REFUSED_OPEN_MAX: '3', ...LIVE })
    const sockets: RawSocket[] = []
    for (let i = 0; i < 5; i++) {
      const raw = await RawSocket.open(gateway.http)
      // Without reading and answering the close, the socket stays.
      raw.socket.pause()
      raw.write(upgradeRequest('/live'))
      sockets.push(raw)
    }
    await eventually(
      async () =>
        (await gateway.metric('wsproxy_connections_total', { door: 'live', result: 'credentials-missing' })) === 5,
      'all to be refused',
    )
    for (const raw of sockets) raw.socket.resume()
    const statuses = await Promise.all(sockets.map((raw) => raw.status()))
    assert.deepEqual(statuses.toSorted(), [101, 101, 101, 401, 401])
    for (const raw of sockets) raw.destroy()
    // The library keeps the TCP connection of a closed socket for 4 s.
    const again = async () => {
      const raw = await RawSocket.open(gateway.http)
      raw.write(upgradeRequest('/live'))
      const status = await raw.status()
      raw.destroy()
      return status === 101
    }
    await eventually(again, 'the places to be given back')
  })

  it('of strangers leave the reserved places to clients with a token', async () => {
    const gateway = await start({ MAX_CONNECTIONS: '20' })
    const strangers = await Promise.all(
      Array.from({ length: 25 }, (_, i) => connect(`${gateway.url}/run-${i}`).catch(() => undefined)),
    )
    assert.equal(strangers.filter(Boolean).length, 18)
    const customer = await gateway.join('customer')
    await customer.close()
    for (const each of strangers) each?.socket.terminate()
  })
})
