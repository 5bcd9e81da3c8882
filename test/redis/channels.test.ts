import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { run } from '../support/cli.ts'
import { connect, refused, type TestClient } from '../support/client.ts'
import { gatewayFor } from '../support/gateway.ts'
import { live } from '../support/live.ts'
import { type Client, type RealRedis, realRedisFor, withoutRealRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { mostEndedInOneTurn } from '../support/turns.ts'
import { eventually, within } from '../support/wait.ts'

const CROWD = 200

describe('a Redis user without some channels', { skip: withoutRealRedis }, () => {
  const suite = scopeOf(after)
  let redis: RealRedis
  let admin: Client
  before(async () => {
    redis = await realRedisFor(suite)
    admin = await redis.client()
  })

  const limit = (...channels: string[]) =>
    admin.sendCommand(['ACL', 'SETUSER', 'limited', 'on', '>pw', '~*', '+@all', 'resetchannels', ...channels])
  const limited = () => ({ ...redis, url: redis.url.replace('//', '//limited:pw@'), client: () => redis.client() })

  it('gets 403 at the doors whose channels are forbidden, and doctor and /ready name door and channel', async (t) => {
    await limit('&session:*', '&wsproxy:canary:*')
    const gateway = await gatewayFor(t, { redis: limited() })
    await (await gateway.join('s1')).close()
    for (const path of ['/run-1', '/live']) {
      const { status, code, message } = await refused(gateway.url + path)
      assert.deepEqual([status, code], [403, 'forbidden'], path)
      assert.match(message, /Redis user of this gateway may not subscribe/)
    }
    assert.equal(await gateway.metric('wsproxy_errors_total', { type: 'internal' }), 0)
    const channels = gateway.log.filter(({ event }) => event === 'redis-forbids').map(({ channel }) => channel)
    for (const channel of ['__keyspace@0__:run-1', 'wsproxy:live']) assert.ok(channels.includes(channel), channel)
    const ready = await fetch(`${gateway.http}/ready`)
    const { degraded } = (await ready.json()) as { degraded: { message: string }[] }
    const { stdout, status } = await run(['doctor', '--json'], {
      env: { LISTEN_ADDR: '127.0.0.1:0', REDIS_URL: limited().url, MAX_CONNECTIONS: '100' },
    })
    const found = (JSON.parse(stdout) as { checks: { name: string; message: string }[] }).checks
    const doctor = found.find(({ name }) => name === 'redis-channels')!.message
    for (const said of [degraded[0]!.message, doctor]) {
      for (const each of [
        '__keyspace@0__:* (the run door)',
        'live:* (the live door)',
        'agent_events:* (the live door)',
        'wsproxy:live (the live door and its orders)',
      ])
        assert.ok(said.includes(each), `${each} in ${said}`)
      assert.doesNotMatch(said, /session|canary/)
    }
    assert.deepEqual([ready.status, status], [200, 0])
  })

  it('keeps the single-use token of a session whose channel is forbidden, from the first upgrade on', async (t) => {
    await limit('&live:*', '&wsproxy:*')
    const gateway = await gatewayFor(t, { redis: limited() })
    const token = await gateway.token('s2')
    for (let i = 0; i < 3; i++) {
      assert.equal((await refused(gateway.sessionUrl('s2'), { token })).code, 'forbidden')
      assert.equal(await admin.exists('session:s2:auth'), 1)
    }
    const ready = await fetch(`${gateway.http}/ready`)
    assert.equal(ready.status, 503)
    assert.match(await ready.text(), /session:\*:down \(the session door\)/)
    // The right comes back without a new connection.
    await limit('allchannels')
    await eventually(async () => (await fetch(`${gateway.http}/ready`)).status === 200, 'the gateway to be ready')
    const wrong = await refused(gateway.sessionUrl('s2'), { token: 'wrong' })
    assert.equal(wrong.code, 'token-rejected')
    await (await connect(gateway.sessionUrl('s2'), { token })).close()
  })
  it('closes open sockets with 4403 when their channel becomes forbidden, and admits new ones when the right is back', async (t) => {
    await limit('allchannels')
    const gateway = await gatewayFor(t, { redis: limited(), env: { RUN_RESYNC_INTERVAL: '0' } })
    const session = await gateway.join('s3')
    const run3 = await connect(`${gateway.url}/run-3`)
    const page = await live(gateway, '/live?subscriptions=system')
    await run3.take(1)
    // Redis cuts the connection, because it has channels that its user may not have any more.
    await limit('&wsproxy:*')
    assert.deepEqual(await session.closed, { code: 4403, reason: 'forbidden' })
    assert.deepEqual(await run3.closed, { code: 4403, reason: 'forbidden' })
    const lost = await page.find({ type: 'error', code: 'forbidden' })
    assert.match(JSON.stringify(lost), /system/)
    assert.equal(page.socket.readyState, page.socket.OPEN)
    assert.equal(await gateway.metric('wsproxy_errors_total', { type: 'internal' }), 0)

    await limit('allchannels')
    const again = await eventually(() => gateway.join('s3').catch(() => undefined), 'the session to be admitted')
    await admin.publish('session:s3:down', '"here"')
    assert.deepEqual(await again.take(1), ['"here"'])
    await (await connect(`${gateway.url}/run-3`)).close()
    page.send({ type: 'subscribe', subscriptions: ['system'] })
    await page.find({ type: 'subscription_updated' })
    await admin.publish('live:system', '{"load":1}')
    await page.find({ type: 'system_update' })
    for (const each of [again, page]) await each.close()
  })

  it('closes a crowd whose channels become forbidden in short steps, at one session and at many', async (t) => {
    await limit('allchannels')
    const gateway = await gatewayFor(t, { redis: limited() })
    const sessions = Array.from({ length: CROWD }, (_, i) => (i % 2 === 0 ? 'crowd' : `crowd-${i}`))
    const clients: TestClient[] = []
    // One after the other at the session that they share, which has one token.
    for (const session of sessions) clients.push(await gateway.join(session))
    const most = mostEndedInOneTurn(t)
    await limit('&wsproxy:*')
    for (const client of clients) assert.equal((await within(client.closed, 'the close')).code, 4403)
    assert.ok(most() > 0 && most() < CROWD / 2, `${most()} sockets ended in one turn of the event loop`)
  })

  it('subscribes the channels of the gateway itself again when the right is back, and logs the refusal once', async (t) => {
    await limit('&session:*', '&live:*')
    const gateway = await gatewayFor(t, { redis: limited(), env: { ADMIN_TOKEN: 'an-admin-token-of-a-test' } })
    const lines = (event: string) =>
      gateway.log.filter((line) => line.event === event && line.channel === 'wsproxy:live').length
    const subscribers = async () => (await admin.pubSubNumSub('wsproxy:live'))['wsproxy:live']
    await eventually(() => lines('redis-forbids') === 1, 'the refusal')
    assert.equal(await subscribers(), 0)
    // Long enough for a second attempt.
    const { metric } = gateway
    const errors = await metric('wsproxy_errors_total', { type: 'redis' })
    const refusals = async () =>
      Number(/cmdstat_subscribe:.*?rejected_calls=(\d+)/.exec(await admin.info('commandstats'))?.[1])
    const before = await refusals()
    await eventually(async () => (await refusals()) > before, 'another attempt', 15_000)
    assert.equal(await metric('wsproxy_errors_total', { type: 'redis' }), errors)
    await limit('allchannels')
    await eventually(async () => (await subscribers()) === 1, 'the channel to come back', 15_000)
    // Redis counts the subscriber before the gateway has read the confirmation.
    await eventually(() => lines('redis-allows') > 0, 'the line about the right')
    assert.deepEqual([lines('redis-forbids'), lines('redis-allows')], [1, 1])
  })
})
