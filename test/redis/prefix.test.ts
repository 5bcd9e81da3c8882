import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { killCommands, serve } from '../support/cli.ts'
import { connect } from '../support/client.ts'
import { realRedisFor, withoutRealRedis } from '../support/redis.ts'
import { eventually } from '../support/wait.ts'

const ADMIN_TOKEN = 'an-admin-token-of-a-test'
const POST = {
  method: 'POST',
  headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
}

describe('two environments on one Redis', { skip: withoutRealRedis }, () => {
  after(killCommands)

  it('hear nothing of each other with a prefix: sessions, runs, live topics, orders and reports', async (t) => {
    const redis = await realRedisFor(t)
    const agent = await redis.client()
    const env = { REDIS_URL: redis.url, ADMIN_TOKEN, CONNECT_RATE_PER_IP: '0' }
    const [production, staging] = await Promise.all([serve(env), serve({ ...env, REDIS_KEY_PREFIX: 'staging:' })])
    const isReady = async (http: string) => (await fetch(`${http}/ready`)).status === 200
    for (const { http } of [production!, staging!]) await eventually(() => isReady(http), 'the gateway to be ready')
    await agent.set('session:s1:auth', 'of-production')
    await agent.set('staging:session:s1:auth', 'of-staging')
    const session = (ws: string, token: string) => connect(`${ws}/agent/ws/s1`, { token })
    const ours = await session(production!.ws, 'of-production')
    const theirs = await session(staging!.ws, 'of-staging')
    const runs = [await connect(`${production!.ws}/run-1`), await connect(`${staging!.ws}/run-1`)] as const
    const open = (ws: string) => connect(`${ws}/live?subscriptions=agents`)
    const lives = [await open(production!.ws), await open(staging!.ws)] as const
    for (const each of [...runs, ...lives]) await each.take(1)

    await agent.publish('staging:session:s1:down', '"for staging"')
    await agent.publish('session:s1:down', '"for production"')
    assert.deepEqual([await ours.take(1), await theirs.take(1)], [['"for production"'], ['"for staging"']])

    await agent.hSet('staging:run-1', 'last_modified', '7')
    await runs[1].find({ last_modified: 7 })
    await agent.hSet('run-1', 'last_modified', '8')
    await runs[0].find({ last_modified: 8 })
    assert.equal(runs[0].values.filter((each) => each.last_modified === 7).length, 0)

    await agent.publish('staging:live:agents', '{"type":"one","data":1}')
    await agent.publish('staging:agent_events:a7', '{"two":2}')
    await lives[1].find({ type: 'one' })
    await lives[1].find({ type: 'agent_event', agent_id: 'a7' })
    const broadcast = `${staging!.http}/api/dashboard/websocket/broadcast?subscription=agents`
    const order = await fetch(broadcast, { ...POST, body: '{"n":3}' })
    assert.equal(((await order.json()) as { clients_reached: number }).clients_reached, 1)
    await lives[1].find({ type: 'agent_update' })
    await agent.publish('live:agents', '{"type":"last","data":1}')
    await lives[0].find({ type: 'last' })
    assert.equal(lives[0].frames.length, 2, 'nothing of staging came before')
    assert.deepEqual([ours.frames.length, theirs.frames.length], [1, 1])
  })

  it('store nothing outside of the prefix', async (t) => {
    const redis = await realRedisFor(t)
    const agent = await redis.client()
    const env = {
      REDIS_URL: redis.url,
      ADMIN_TOKEN,
      REDIS_KEY_PREFIX: 'staging:',
      SESSION_FLOW_SIGNAL: 'true',
      RUN_AUTH: 'bearer',
    }
    const { http } = await serve(env)
    await eventually(async () => (await fetch(`${http}/ready`)).status === 200, 'the gateway to be ready')
    const run = await fetch(`${http}/api/preflight/run`, { ...POST, body: '{}' })
    assert.ok([200, 412].includes(run.status), String(run.status))
    await eventually(async () => (await agent.keys('*')).length > 0, 'the report to be stored')
    for (const key of await agent.keys('*')) assert.match(key, /^\{?staging:/)
    for (const channel of await agent.pubSubChannels()) assert.match(channel, /^(__keyspace@0__:)?staging:/)
  })
})
