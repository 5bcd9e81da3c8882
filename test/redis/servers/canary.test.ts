import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { liveBus, sessionDown } from '../../../src/contract/names.ts'
import { type FaultProxy, faultProxyFor } from '../../support/fault-proxy.ts'
import { gatewayFor, socketChannels, type TestGateway } from '../../support/gateway.ts'
import { type RealRedis, realRedisFor, withoutRealRedis } from '../../support/redis.ts'
import { scopeOf } from '../../support/scope.ts'
import { eventually } from '../../support/wait.ts'

/** A slow machine delivers a canary late: the timeout is far above the interval. */
const QUICK = { REDIS_CANARY_INTERVAL: '100ms', REDIS_CANARY_TIMEOUT: '1500ms' }
/**
 * Far above client-output-buffer-limit, and little enough for a slow machine to read it through the
 * proxy.
 */
const FLOOD_MB = 16
const marker = (text: string) => JSON.stringify({ marker: text })

describe('a quiet fault of Redis', { skip: withoutRealRedis }, () => {
  const suite = scopeOf(after)
  const each = scopeOf(afterEach)
  let redis: RealRedis
  let proxy: FaultProxy
  let gateway: TestGateway
  before(async () => {
    redis = await realRedisFor(suite, ['--client-output-buffer-limit', 'pubsub', '1mb', '0', '0'])
  })

  async function start(env: Record<string, string> = QUICK, user = ''): Promise<void> {
    proxy = await faultProxyFor(each, redis.port)
    const url = `redis://${user}127.0.0.1:${proxy.port}`
    gateway = await gatewayFor(each, { redis: { ...redis, url, client: () => redis.client() }, env })
  }

  const publish = (session: string, text: string) => gateway.agent.publish(sessionDown(session), marker(text))
  const ready = async () => (await fetch(`${gateway.http}/ready`)).status

  it('replaces a subscriber connection that answers pings and delivers nothing', async () => {
    await start()
    const clients = { a: await gateway.join('a'), b: await gateway.join('b') }
    await publish('a', 'before')
    await clients.a.find({ marker: 'before' })
    const lost = Date.now()
    proxy.deaf()
    await publish('a', 'lost')
    assert.equal(await gateway.metric('wsproxy_redis_canaries_lost_total'), 0)
    await eventually(async () => (await ready()) === 503, '/ready to be 503')
    await eventually(async () => (await gateway.metric('wsproxy_redis_canaries_lost_total')) >= 1, 'the metric')
    assert.equal(await gateway.metric('wsproxy_redis_reconnects_total', { link: 'commands' }), 0)
    // While the subscriber is not ready, the next connection is a healed one, and the last gap ends
    // with it.
    await eventually(() => !gateway.gateway.redisReady, 'the subscriber to be replaced')
    const back = Date.now()
    proxy.heal()
    await eventually(async () => (await ready()) === 200, '/ready to be 200')
    for (const [session, client] of Object.entries(clients)) {
      await publish(session, 'after')
      await client.find({ marker: 'after' })
      assert.ok(!client.frames.includes(marker('lost')))
    }
    for (const client of Object.values(clients)) await eventually(() => client.values.some(isGap), 'the gap')
    const first = clients.a.values.find(isGap)!
    assert.ok(Date.parse(String(first.from)) <= lost, `from ${first.from}`)
    const lastTo = () => Date.parse(String(clients.a.values.filter(isGap).at(-1)!.to))
    await eventually(() => lastTo() >= back, 'the last gap to end after the fault')
    assert.ok((await gateway.metric('wsproxy_gaps_total', { reason: 'redis_deaf' })) >= 1)
    assert.ok(Object.values(clients).every(({ code }) => code === undefined))
  })

  it('loses no canary when Redis is well, nor with canaries off', async () => {
    await start()
    const flown = async () => gateway.metric('wsproxy_redis_canary_seconds_count')
    await eventually(async () => (await flown()) >= 5, 'five canaries')
    assert.equal(await gateway.metric('wsproxy_redis_canaries_lost_total'), 0)
    assert.equal(await socketChannels(gateway), 0)
    await gateway.stop()
    await start({ REDIS_CANARY_INTERVAL: '0' })
    assert.deepEqual(await gateway.agent.pubSubChannels('wsproxy:*'), [liveBus()])
  })

  it('serves sessions without a canary when an ACL forbids its channel', async () => {
    const agent = await redis.client()
    await agent.sendCommand(['ACL', 'SETUSER', 'narrow', 'on', '>pw', '+@all', '~*', 'resetchannels', '&session:*'])
    await start(QUICK, 'narrow:pw@')
    const client = await gateway.join('narrow')
    await publish('narrow', 'here')
    await client.find({ marker: 'here' })
    assert.ok(gateway.log.some(({ event }) => event === 'canary'))
    assert.equal(await gateway.metric('wsproxy_redis_reconnects_total'), 0)
  })

  for (const [what, user, without, rights] of [
    ['the channel', 'late', ['+@all', '~*', 'resetchannels', '&session:*', '&live:*'], ['&wsproxy:*']],
    ['PUBLISH', 'mute', ['+@all', '-publish', '~*', '&*'], ['+publish']],
  ] as const) {
    it(`sends canaries again once an ACL allows ${what}`, async () => {
      const agent = await redis.client()
      await agent.sendCommand(['ACL', 'SETUSER', user, 'on', '>pw', ...without])
      await start(QUICK, `${user}:pw@`)
      const said = () => gateway.log.filter(({ event }) => event === 'canary').map(({ level }) => level)
      await eventually(() => said().length > 0, 'the warning')
      assert.equal(await gateway.metric('wsproxy_redis_canary_seconds_count'), 0)
      await agent.sendCommand(['ACL', 'SETUSER', user, ...rights])
      const flown = async () => gateway.metric('wsproxy_redis_canary_seconds_count')
      await eventually(async () => (await flown()) > 2, 'canaries')
      assert.equal(said().length, 2)
      assert.equal(await gateway.metric('wsproxy_redis_reconnects_total'), 0)
      proxy.deaf()
      await eventually(async () => (await gateway.metric('wsproxy_redis_canaries_lost_total')) > 0, 'the deaf link')
      proxy.heal()
    })
  }

  it('starts a gap at the last answered ping when an ACL forbids to publish canaries', async () => {
    const agent = await redis.client()
    await agent.sendCommand(['ACL', 'SETUSER', 'listener', 'on', '>pw', '+@all', '-publish', '~*', '&*'])
    await start(QUICK, 'listener:pw@')
    const client = await gateway.join('listener')
    await eventually(() => gateway.log.some(({ event }) => event === 'canary'), 'the warning')
    const openedAt = Date.now()
    await eventually(() => Date.now() - openedAt > 2500, 'some pings')
    const lost = Date.now()
    proxy.sever('reset')
    await client.find({ command: 'gap' })
    const { from } = client.values.find(isGap)!
    assert.ok(Date.parse(String(from)) > lost - 2200 && Date.parse(String(from)) <= lost + 5, `${from}`)
    assert.equal(await gateway.metric('wsproxy_redis_canaries_lost_total'), 0)
  })

  it('reports redis_output_limit when Redis cut a subscriber that was too far behind', async () => {
    await start({ ...QUICK, REDIS_CANARY_TIMEOUT: '20s' })
    const client = await gateway.join('flood')
    await publish('flood', 'before')
    await client.find({ marker: 'before' })
    const publishes = async () =>
      Number(/cmdstat_publish:calls=(\d+)/.exec(await gateway.agent.info('commandstats'))?.[1])
    // We are behind: a canary is on its way, and before it is here Redis has had enough.
    proxy.deaf()
    const then = await publishes()
    await eventually(async () => (await publishes()) > then, 'a canary')
    const flooded = Date.now()
    const flood = `for i = 1, ${FLOOD_MB} do redis.call('PUBLISH', KEYS[1], string.rep('x', 1048576)) end`
    await gateway.agent.sendCommand(['EVAL', flood, '1', sessionDown('flood')])
    await eventually(() => gateway.log.some(({ event }) => event === 'redis-lost'), 'the loss')
    proxy.heal()
    const counted = () => gateway.metric('wsproxy_gaps_total', { reason: 'redis_output_limit' })
    await eventually(async () => (await counted()) === 1, 'the gap to be counted')
    await publish('flood', 'after')
    await eventually(() => client.frames.includes(marker('after')), 'the message after')
    const { from, to } = client.values.find(isGap)!
    assert.ok(Date.parse(String(from)) <= flooded && Date.parse(String(to)) >= flooded, `${from} to ${to}`)
    assert.equal(client.code, undefined)
  })
})

const isGap = ({ command }: Record<string, unknown>) => command === 'gap'
