import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { liveChannel, sessionDown } from '../../src/contract/names.ts'
import { connect, refused } from '../support/client.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { type RealRedis, realRedisFor, withoutRealRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

const MEBIBYTE = 1024 * 1024

describe('what Redis and its users have done to other gateways', { skip: withoutRealRedis }, () => {
  const suite = scopeOf(after)
  let redis: RealRedis
  let gateway: TestGateway
  before(async () => {
    redis = await realRedisFor(suite)
    gateway = await gatewayFor(suite, { redis, env: { HANDSHAKE_TIMEOUT: '1s' } })
  })

  /** Publishes until the client has it: the channel is subscribed again after a while. */
  async function reaches(session: string, client: Awaited<ReturnType<TestGateway['join']>>): Promise<void> {
    await eventually(async () => {
      await gateway.agent.publish(sessionDown(session), '{"back":true}').catch(() => {})
      return client.frames.some((frame) => String(frame) === '{"back":true}')
    }, 'a message')
  }

  it('an open socket gets messages again after Redis was restarted (laravel/reverb 258)', async () => {
    const client = await gateway.join('restart')
    await redis.restart()
    await reaches('restart', client)
    await client.close()
  })

  it('an open socket gets messages again after Redis has cut the subscriber (redis/node-redis 1190)', async () => {
    const client = await gateway.join('cut')
    assert.ok(Number(await gateway.agent.sendCommand(['CLIENT', 'KILL', 'TYPE', 'pubsub'])) >= 1)
    await client.find({ command: 'gap' })
    await reaches('cut', client)
    await client.close()
  })

  it('a message of 3 MB, in many packets, arrives whole and in order (redis/node-redis 284)', async () => {
    const client = await gateway.join('large')
    const large = JSON.stringify({ text: 'x'.repeat(3 * MEBIBYTE) })
    await gateway.agent.publish(sessionDown('large'), large)
    await gateway.agent.publish(sessionDown('large'), '{"after":1}')
    assert.deepEqual(await client.take(2), [large, '{"after":1}'])
    await client.close()
  })

  it('bytes that are no text pass unchanged (moscajs/ascoltatori 99)', async () => {
    const client = await gateway.join('binary')
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
    await gateway.agent.sendCommand(['PUBLISH', sessionDown('binary'), bytes])
    const [frame] = await client.take(1)
    assert.deepEqual(Buffer.from(frame as Buffer), bytes)
    await client.close()
  })

  it('a message that is not JSON ends nothing, and the next one arrives (chameleonbr/node-red-contrib-redis 5)', async () => {
    const live = await connect(`${gateway.url}/live?subscriptions=system`)
    const session = await gateway.join('text')
    await live.find({ type: 'connection_established' })
    for (const text of ['plain words', '', '{', '"\\u0000"']) {
      await gateway.agent.publish(liveChannel('system'), text)
      await gateway.agent.publish(sessionDown('text'), text)
    }
    await gateway.agent.publish(liveChannel('system'), '{"load":1}')
    await live.find({ type: 'system_update' })
    assert.deepEqual(await session.take(4), ['plain words', '', '{', '"\\u0000"'])
    await Promise.all([live.close(), session.close()])
  })

  it('a Redis that never answers ends each upgrade in time, and the next ones work (centrifugal/centrifugo 925)', async () => {
    await gateway.token('stuck', 'token')
    redis.process.kill('SIGSTOP')
    try {
      const attempts = Array.from({ length: 20 }, () => refused(gateway.sessionUrl('stuck'), { token: 'token' }))
      for (const { status } of await Promise.all(attempts)) assert.ok(status === 503 || status === 504, String(status))
    } finally {
      redis.process.kill('SIGCONT')
    }
    await eventually(() => gateway.gateway.redisReady, 'Redis to be back')
    await (await gateway.join('unstuck')).close()
  })

  it('a user that may not SUBSCRIBE costs no connection to Redis for each attempt (hibiken/asynq 1095)', async () => {
    const connections = async () => {
      const info = String(await gateway.agent.sendCommand(['INFO', 'clients']))
      return Number(/connected_clients:(\d+)/.exec(info)?.[1])
    }
    const before = await connections()
    await gateway.agent.sendCommand(['ACL', 'SETUSER', 'default', '-subscribe'])
    try {
      for (let i = 0; i < 20; i++) {
        const { status } = await refused(gateway.sessionUrl(`acl-${i}`), { token: await gateway.token(`acl-${i}`) })
        assert.ok(status === 403 || status === 503, String(status))
      }
      assert.ok((await connections()) <= before, `${before} connections, then ${await connections()}`)
    } finally {
      await gateway.agent.sendCommand(['ACL', 'SETUSER', 'default', '+subscribe'])
    }
  })
})
