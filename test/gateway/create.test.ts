import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type CreateGatewayOptions, createGateway, type Door, type OwnDoors } from '../../src/gateway/create.ts'
import { connect, refused } from '../support/client.ts'
import { sample } from '../support/gateway.ts'
import { type Client, redisFor, type TestRedis } from '../support/redis.ts'
import { atEnd, type Scope, scopeOf } from '../support/scope.ts'
import { AMPLE_CHECK_TIMEOUT, eventually } from '../support/wait.ts'

/** A door that sends clients their own frames, by way of Redis. */
const echo =
  (route: string, name = 'echo'): OwnDoors =>
  ({ path, channel, stats, refusals, publish }) => {
    const door: Door = {
      name,
      subjectName: 'room',
      path: path(route),
      maxMessageBytes: 1024,
      rate: { intervalMs: 0, burst: 1 },
      idleTimeout: undefined,
      stats: stats(name),
      admit: ([room = '']) => {
        if (!/^[a-z]+$/.test(room)) return refusals['malformed-id']!
        const redisChannel = channel(`echo:${room}`)
        return {
          kind: 'admission',
          subject: room,
          tokenKey: undefined,
          source: { render: (_, message) => message },
          redisChannel,
          topics: [[redisChannel]],
          topicsRequired: true,
        }
      },
      receive: (connection, frame) =>
        publish(connection, channel(`echo:${connection.subject}`), Buffer.from(frame), () => {}),
      rateLimited: () => {},
      goodbye: () => undefined,
    }
    return [door]
  }

describe('createGateway', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let agent: Client
  before(async () => {
    redis = await redisFor(suite)
    agent = await redis.client()
  })

  const settings = (more: Record<string, string> = {}): Record<string, string> => ({
    REDIS_URL: redis.url,
    LISTEN_ADDR: '127.0.0.1:0',
    PREFLIGHT_CHECK_TIMEOUT: AMPLE_CHECK_TIMEOUT,
    DRAIN_WINDOW: '0',
    ...more,
  })
  /** Starts a gateway that is ready. Its log goes to `lines`. */
  const start = async (scope: Scope, options: CreateGatewayOptions = {}) => {
    const lines: string[] = []
    const gateway = await createGateway({
      settings: settings(),
      log: (line) => {
        lines.push(line)
      },
      ...options,
    })
    atEnd(scope, () => gateway.stop())
    const { port } = gateway.listen()
    await eventually(() => gateway.redisReady, 'the gateway to reach Redis')
    return { gateway, lines, http: `http://127.0.0.1:${port}`, ws: `ws://127.0.0.1:${port}` }
  }

  it('serves a door of its caller, in both directions, beside the other doors, with metrics under its name', async (t) => {
    const { http, ws } = await start(t, { doors: echo('/echo/:room') })
    const client = await connect(`${ws}/echo/lobby`)
    client.send({ hello: 1 })
    assert.deepEqual(await client.take(1), ['{"hello":1}'])
    await agent.publish('echo:lobby', 'from an agent')
    assert.deepEqual(await client.take(2), ['{"hello":1}', 'from an agent'])
    assert.deepEqual((await refused(`${ws}/echo/NO`)).code, 'malformed-id')
    assert.equal((await refused(`${ws}/agent/ws/s1`)).code, 'credentials-missing')
    const page = await (await fetch(`${http}/metrics`)).text()
    assert.equal(sample(page, 'wsproxy_connections_total', { door: 'echo', result: 'accepted' }), 1)
    assert.equal(sample(page, 'wsproxy_connections_total', { door: 'echo', result: 'at-capacity' }), 0)
    await client.close()
  })

  it('puts REDIS_KEY_PREFIX before the channels of a door', async (t) => {
    const { ws } = await start(t, { settings: settings({ REDIS_KEY_PREFIX: 'own:' }), doors: echo('/echo/:room') })
    const client = await connect(`${ws}/echo/lobby`)
    await agent.publish('own:echo:lobby', 'prefixed')
    assert.deepEqual(await client.take(1), ['prefixed'])
    await client.close()
  })

  it('runs a check of its caller with the others, and writes its log to the function', async (t) => {
    const { http, lines } = await start(t, {
      checks: [
        { name: 'disk', priority: 1, appliesTo: 'all', execute: async () => ({ status: 'fail', message: 'full' }) },
      ],
    })
    const answer = await fetch(`${http}/ready`)
    assert.equal(answer.status, 503)
    assert.match(await answer.text(), /"disk"/)
    await eventually(() => lines.length > 0, 'a line of the log')
    for (const line of lines) assert.equal(typeof JSON.parse(line), 'object')
  })

  it('rejects settings, checks and doors that it cannot use, and names what is wrong', async () => {
    const rejects = (options: CreateGatewayOptions, message: RegExp) => assert.rejects(createGateway(options), message)
    await rejects({ settings: {} }, /^ConfigError: REDIS_URL is not set/)
    await rejects({ settings: settings({ MAX_CONNECTIONS: 'many' }) }, /^ConfigError: MAX_CONNECTIONS: /)
    const execute = async () => ({ status: 'pass', message: '' }) as const
    await rejects(
      { settings: settings(), checks: [{ name: 'redis', priority: 1, appliesTo: 'all', execute }] },
      /ConfigError: createGateway: the check "redis" is also in redis\.js/,
    )
    await rejects({ settings: settings(), doors: echo('/live') }, /the doors echo and live have the path \/live/)
    await rejects({ settings: settings(), doors: echo('/echo', 'run') }, /two doors have the name "run"/)
  })

  it('runs twice in one process: the gateways count apart, and each answers the orders of the other', async (t) => {
    const env = settings({ ADMIN_TOKEN: 'a-token-of-operators-1', LIVE_TOPICS: 'news' })
    const [one, other] = [await start(t, { settings: env }), await start(t, { settings: env })]
    const clients = await Promise.all([one, other, other].map(({ ws }) => connect(`${ws}/live?subscriptions=news`)))
    const active = async ({ http }: typeof one) =>
      sample(await (await fetch(`${http}/metrics`)).text(), 'wsproxy_active_connections', { door: 'live' })
    assert.deepEqual([await active(one), await active(other)], [1, 2])
    const answer = await fetch(`${one.http}/api/dashboard/websocket/broadcast?subscription=news&message_type=hello`, {
      method: 'POST',
      headers: { Authorization: 'Bearer a-token-of-operators-1', 'Content-Type': 'application/json' },
      body: '{"x":1}',
    })
    const said = (await answer.json()) as Record<string, unknown>
    assert.equal(answer.status, 200, JSON.stringify(said))
    assert.equal(said.clients_reached, 3)
    for (const client of clients) await client.close()
  })

  it('refuses a second REDIS_KEY_PREFIX in one process until the first gateway has stopped', async (t) => {
    const { gateway } = await start(t)
    const staging = { settings: settings({ REDIS_KEY_PREFIX: 'staging:' }) }
    await assert.rejects(createGateway(staging), /REDIS_KEY_PREFIX is "staging:", and "" in another gateway/)
    await gateway.stop()
    await start(t, staging)
  })

  it('listens once, and not after its stop', async (t) => {
    const { gateway } = await start(t)
    assert.throws(() => gateway.listen(), /listen was called before/)
    await gateway.stop()
    assert.throws(() => gateway.listen(), /stop was called before/)
  })

  it('stops within its grace, closes its sockets with 1001, and ends the process of its caller by nothing', async (t) => {
    const { gateway, ws } = await start(t, { doors: echo('/echo/:room') })
    const client = await connect(`${ws}/echo/lobby`)
    await gateway.stop()
    assert.equal((await client.closed).code, 1001)
    await gateway.stop()
  })

  it('ends the sockets of a door whose goodbye throws, each idle one and all at its stop', async (t) => {
    const doors: OwnDoors = (tools) =>
      echo('/echo/:room')(tools).map((door) => ({
        ...door,
        idleTimeout: { afterMs: 500, close: tools.closes.notHeard! },
        goodbye: () => {
          throw new Error('a bug of the door')
        },
      }))
    const { gateway, lines, ws } = await start(t, { doors })
    const [one, other] = [await connect(`${ws}/echo/lobby`), await connect(`${ws}/echo/lobby`)]
    assert.deepEqual([(await one.closed).code, (await other.closed).code], [4408, 4408])
    const last = await connect(`${ws}/echo/lobby`)
    await gateway.stop()
    assert.equal((await last.closed).code, 1001)
    assert.equal(lines.filter((line) => line.includes('a bug of the door')).length, 3)
  })
})
