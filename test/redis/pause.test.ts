import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { sessionAuth, sessionDown, sessionUp } from '../../src/contract/names.ts'
import { connect, refused, type TestClient } from '../support/client.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { proxyFor } from '../support/proxy.ts'
import { RawSocket, upgradeRequest } from '../support/raw.ts'
import { type Client, type RealRedis, realRedisFor, withoutRealRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

const ENV = { SESSION_RATE: '0' }
const gaps = (client: TestClient) => client.values.filter(({ command }) => command === 'gap')
const uncertain = (client: TestClient) => client.values.filter(({ code }) => code === 'upstream-uncertain').length
const numbers = (length: number) => Array.from({ length }, (_, n) => n)

describe('a Redis that pauses its clients', { skip: withoutRealRedis }, () => {
  const each = scopeOf(afterEach)

  async function hear(server: Pick<RealRedis, 'client'>, session: string): Promise<number[]> {
    const heard: number[] = []
    await (await server.client()).subscribe(sessionUp(session), (frame) => heard.push(JSON.parse(frame).n))
    return heard
  }

  const reconnects = (gateway: TestGateway) => gateway.metric('wsproxy_redis_reconnects_total')

  it('keeps both links through CLIENT PAUSE WRITE, and frames and upgrades wait for its end', async () => {
    const redis = await realRedisFor(each)
    const gateway = await gatewayFor(each, { redis, env: ENV })
    const client = await gateway.join('s1')
    const heard = await hear(redis, 's1')
    const token = await gateway.token('s2')
    await gateway.agent.sendCommand(['CLIENT', 'PAUSE', '2000', 'WRITE'])
    for (const n of numbers(20)) client.send({ n })
    const late = await connect(gateway.sessionUrl('s2'), { token })
    await eventually(() => heard.length === 20, 'the frames')
    assert.deepEqual(heard, numbers(20))
    await gateway.agent.publish(sessionDown('s2'), '{"n":1}')
    await late.find({ n: 1 })
    assert.deepEqual(gaps(client), [])
    assert.equal(await reconnects(gateway), 0)
  })

  it('serves again after a CLIENT PAUSE ALL that was longer than three pings, with each frame once or uncertain', async () => {
    const redis = await realRedisFor(each)
    const gateway = await gatewayFor(each, { redis, env: ENV })
    const client = await gateway.join('s1')
    const heard = await hear(redis, 's1')
    await gateway.agent.sendCommand(['CLIENT', 'PAUSE', '6000', 'ALL'])
    for (const n of numbers(20)) client.send({ n })
    await eventually(() => !gateway.gateway.redisReady, 'the loss to be noticed')
    const refusal = await refused(gateway.sessionUrl('s2'), { token: 'any' })
    assert.ok(refusal.status === 503 || refusal.status === 504, String(refusal.status))
    await eventually(() => gateway.gateway.redisReady && gaps(client).length > 0, 'the gap')
    client.send({ n: 20 })
    await eventually(() => heard.includes(20), 'the last frame')
    assert.equal(new Set(heard).size, heard.length, 'no frame was published twice')
    assert.ok(heard.length + uncertain(client) >= 21, `${heard.length} heard, ${uncertain(client)} uncertain`)
    await gateway.agent.publish(sessionDown('s1'), '{"n":"after"}')
    await client.find({ n: 'after' })
    assert.equal(client.code, undefined)
    assert.equal(await gateway.metric('wsproxy_errors_total', { type: 'internal' }), 0)
  })

  it('costs no single-use token when an upgrade is answered 504 before the pause ends', async () => {
    const redis = await realRedisFor(each)
    const gateway = await gatewayFor(each, { redis, env: { ...ENV, HANDSHAKE_TIMEOUT: '300ms' } })
    const { agent } = gateway
    // Redis knows the script now: else it would be sent again, behind the writes of the agent.
    await (await gateway.join('s0')).close()
    await gateway.token('s1', 'single')
    await agent.sAdd(sessionAuth('s2'), ['one', 'two'])
    await agent.sendCommand(['CLIENT', 'PAUSE', '1500', 'WRITE'])
    const late = [
      await refused(gateway.sessionUrl('s1'), { token: 'single' }),
      await refused(gateway.sessionUrl('s2'), { token: 'one' }),
    ]
    assert.deepEqual(
      late.map(({ status, code }) => [status, code]),
      [
        [504, 'redis-timeout'],
        [504, 'redis-timeout'],
      ],
    )
    // A write of the agent waits for the end of the pause, behind the commands of the upgrades.
    await agent.set('after', 'the pause')
    await eventually(async () => (await agent.get(sessionAuth('s1'))) === 'single', 'the token')
    await eventually(() => agent.sIsMember(sessionAuth('s2'), 'one'), 'the token of the set')
    await (await connect(gateway.sessionUrl('s1'), { token: 'single' })).close()
    await (await connect(gateway.sessionUrl('s2'), { token: 'one' })).close()
    assert.equal(await agent.exists(sessionAuth('s1')), 0)
    assert.deepEqual(await agent.sMembers(sessionAuth('s2')), ['two'])
    assert.equal(gateway.log.filter(({ event }) => event === 'token-lost').length, 0)
  })

  it('costs no single-use token when the client goes away during the pause', async () => {
    const redis = await realRedisFor(each)
    const gateway = await gatewayFor(each, { redis, env: ENV })
    await gateway.token('s1', 'single')
    await gateway.agent.sendCommand(['CLIENT', 'PAUSE', '1000', 'WRITE'])
    const raw = await RawSocket.open(gateway.http)
    raw.write(upgradeRequest('/agent/ws/s1', { Authorization: 'Bearer single' }))
    await fetch(`${gateway.http}/livez`)
    raw.destroy()
    await gateway.agent.set('after', 'the pause')
    const aborted = () => gateway.metric('wsproxy_connections_total', { door: 'session', result: 'aborted' })
    await eventually(async () => (await aborted()) === 1, 'the end of the upgrade')
    await eventually(async () => (await gateway.agent.get(sessionAuth('s1'))) === 'single', 'the token')
    await (await connect(gateway.sessionUrl('s1'), { token: 'single' })).close()
  })

  it('keeps frames and an unspent token through a FAILOVER that is in progress', async () => {
    const fast = ['--repl-diskless-sync-delay', '0']
    const [first, second] = [await realRedisFor(each, fast), await realRedisFor(each, fast)]
    const [master, replica]: Client[] = [await first.client(), await second.client()]
    await replica!.sendCommand(['REPLICAOF', '127.0.0.1', String(first.port)])
    const follows = async (server: Client) => (await server.info('replication')).includes('master_link_status:up')
    await eventually(() => follows(replica!), 'the replica')
    const proxy = await proxyFor(each, first.port)
    const url = `redis://127.0.0.1:${proxy.port}`
    const gateway = await gatewayFor(each, { redis: { ...first, url, client: () => first.client() }, env: ENV })
    const client = await gateway.join('s1')
    const heard = [await hear(first, 's1'), await hear(second, 's1')] as const
    await gateway.token('s2', 'token')
    await eventually(async () => (await replica!.get(sessionAuth('s2'))) === 'token', 'replication')
    // The replica cannot confirm what it has, so the master waits for it and pauses its clients.
    second.process.kill('SIGSTOP')
    await master!.set('more', 'data')
    await master!.sendCommand(['FAILOVER', 'TO', '127.0.0.1', String(second.port)])
    const state = async () => /master_failover_state:(\S+)/.exec(await master!.info('replication'))?.[1]
    await eventually(async () => (await state()) === 'waiting-for-sync', 'the FAILOVER to wait')
    for (const n of numbers(20)) client.send({ n })
    const upgrade = connect(gateway.sessionUrl('s2'), { token: 'token' }).then(
      () => 101,
      (error) => error.refused?.status as number,
    )
    second.process.kill('SIGCONT')
    await eventually(() => follows(master!), 'the old master to follow')
    proxy.switchTo(second.port)
    await eventually(() => gaps(client).length > 0 && gateway.gateway.redisReady, 'the new master')
    client.send({ n: 20 })
    await eventually(() => heard[1].includes(20), 'a frame at the new master')
    const all = new Set([...heard[0], ...heard[1]])
    assert.ok(all.size + uncertain(client) >= 21, `${all.size} heard, ${uncertain(client)} uncertain`)
    assert.equal(new Set(heard[1]).size, heard[1].length, 'no frame was published twice')
    const status = await upgrade
    assert.ok([101, 503, 504].includes(status), String(status))
    // A client that got no 101 comes back with the token that it still has.
    if (status !== 101) await (await connect(gateway.sessionUrl('s2'), { token: 'token' })).close()
    assert.equal(await replica!.exists(sessionAuth('s2')), 0)
    assert.equal(client.code, undefined)
    assert.equal(await gateway.metric('wsproxy_errors_total', { type: 'internal' }), 0)
  })
})
