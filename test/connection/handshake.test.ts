import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sessionAuth, sessionDown } from '../../src/contract/names.ts'
import { fillAcceptQueue } from '../support/accept-queue.ts'
import { connect } from '../support/client.ts'
import { gatewayFor, socketChannels, type TestGateway } from '../support/gateway.ts'
import { RawSocket, upgradeRequest } from '../support/raw.ts'
import { type RealRedis, realRedisFor, withoutRealRedis } from '../support/redis.ts'
import { assertRefusal, assertRefused, counted, knock, REFUSED, withToken } from '../support/refusals.ts'
import { type RelayedRedis, relayedRedisFor } from '../support/relay.ts'
import { atEnd, scopeOf } from '../support/scope.ts'
import { eventually, within } from '../support/wait.ts'
import { answerOf, joinRaw, listeners, publish, untilOpen } from '../support/wire.ts'

describe('an upgrade that Redis has not confirmed', () => {
  const suite = scopeOf(after)
  let redis: RelayedRedis
  let gateway: TestGateway
  before(async () => {
    redis = await relayedRedisFor(suite)
    gateway = await gatewayFor(suite, { redis, env: { MAX_CONNECTIONS: '1', HANDSHAKE_TIMEOUT: '60s' } })
    atEnd(suite, () => redis.release())
  })

  /** Frees whatever a test may still hold and checks that the one place there is can be taken. */
  async function assertPlaceIsFree(): Promise<void> {
    redis.release()
    const client = await eventually(() => gateway.join('place').catch(() => undefined), 'the place')
    await client.close()
    await untilOpen(gateway, 0)
    await eventually(async () => (await socketChannels(gateway)) === 0, 'no channel')
  }

  it('sends the 101 when Redis confirms the subscription, and not before', async () => {
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
    it(`gives the place of an upgrade back when the client hangs up while Redis answers for the ${stage}`, async () => {
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
  const suite = scopeOf(after)
  let redis: RelayedRedis
  let gateway: TestGateway
  before(async () => {
    redis = await relayedRedisFor(suite)
    gateway = await gatewayFor(suite, { redis, env: { MAX_CONNECTIONS: '2', HANDSHAKE_TIMEOUT: '300ms' } })
    atEnd(suite, () => redis.release())
  })

  it('refuses an upgrade with 504 when Redis takes too long for the token or the subscription, and gives its place back', async () => {
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
  const suite = scopeOf(after)
  let redis: RealRedis
  let gateway: TestGateway
  before(async () => {
    redis = await realRedisFor(suite)
    gateway = await gatewayFor(suite, { redis, env: { MAX_CONNECTIONS: '1', HANDSHAKE_TIMEOUT: '300ms' } })
  })

  const assertServes = async (session: string) => {
    const client = await eventually(() => gateway.join(session).catch(() => undefined), 'an upgrade to be served again')
    publish(gateway, session, 'back')
    assert.deepEqual(await client.take(1), ['back'])
    await client.close()
    await untilOpen(gateway, 0)
  }

  it('refuses an upgrade with 504 while Redis hangs, and accepts the next when Redis goes on', async () => {
    const token = await gateway.token('hung')
    redis.process.kill('SIGSTOP')
    try {
      await assertRefused(gateway, upgradeRequest('/a/ws/hung', withToken(token)), REFUSED.redisTimeout)
    } finally {
      redis.process.kill('SIGCONT')
    }
    await assertServes('after-hang')
  })

  it('refuses an upgrade with 503, not 504, when Redis is gone, even one that was in progress', async (t) => {
    const patient = await gatewayFor(t, { redis, env: { HANDSHAKE_TIMEOUT: '60s' } })
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

  it('refuses an upgrade with 403 when Redis forbids its channel, and serves all others', async (t) => {
    // An upgrade must not run into its timeout before Redis refuses the channel.
    const patient = await gatewayFor(t, { redis, env: { HANDSHAKE_TIMEOUT: '60s' } })
    await eventually(() => gateway.agent.isReady, 'the agent to be back')
    const acl = (...rules: string[]) => gateway.agent.sendCommand(['ACL', 'SETUSER', 'default', ...rules])
    // With the channels of the gateway itself: Redis cuts a connection that is subscribed to a
    // forbidden one.
    await acl('resetchannels', '&session:allowed*', '&wsproxy:*')
    try {
      const token = await gateway.token('forbidden')
      await assertRefused(patient, upgradeRequest('/a/ws/forbidden', withToken(token)), REFUSED.forbidden)
      // The first refusal has shown that the channels of sessions may be forbidden.
      const next = await gateway.token('forbidden')
      await assertRefused(patient, upgradeRequest('/a/ws/forbidden', withToken(next)), REFUSED.forbidden)
      assert.equal(await gateway.agent.exists(sessionAuth('forbidden')), 1, 'the second token is not spent')
      const line = patient.log.find(({ event }) => event === 'redis-forbids')
      assert.equal(line?.channel, 'session:forbidden:down')
      await assertServes('allowed')
    } finally {
      await acl('allchannels')
    }
    await assertServes('forbidden')
  })
})

describe('while the gateway drains an upgrade', () => {
  it('refuses an upgrade with 503 during a drain, as long as the listener is open', async (t) => {
    const gateway = await gatewayFor(t, { env: { DRAIN_DELAY: '20s' } })
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

  it('refuses an upgrade in progress with 503 when a drain begins, at any stage, and closes the listener', async (t) => {
    const redis = await relayedRedisFor(t)
    const gateway = await gatewayFor(t, { redis, env: { HANDSHAKE_TIMEOUT: '60s' } })
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

  it('refuses an upgrade in the accept queue with 503 during a drain, instead of resetting it with the listener', async (t) => {
    const gateway = await gatewayFor(t)
    const upgrade = upgradeRequest('/agent/ws/late', withToken('any'))
    const { answers } = fillAcceptQueue(
      gateway.http,
      Array.from({ length: 200 }, () => upgrade),
    )
    const stopped = gateway.gateway.stop()
    const statusLines = (await answers).map((answer) => answer.split('\r\n')[0])
    assert.deepEqual([...new Set(statusLines)], ['HTTP/1.1 503 Service Unavailable'])
    await within(stopped, 'the end of the drain')
  })

  it('keeps a socket whose upgrade was complete before the drain open until its goodbye', async (t) => {
    const gateway = await gatewayFor(t)
    const raw = await joinRaw(gateway, 'complete')
    await within(gateway.gateway.stop(), 'the end of the drain')
    await raw.untilClosed()
    assert.match(raw.text, /goodbye/)
  })
})
