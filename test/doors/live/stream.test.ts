import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { checkServerFrame } from '../../support/contract.ts'
import { gatewayFor, type TestGateway } from '../../support/gateway.ts'
import { live } from '../../support/live.ts'
import { scopeOf } from '../../support/scope.ts'
import { openStream, type StreamClient } from '../../support/sse.ts'
import { eventually, within } from '../../support/wait.ts'

// biome-ignore lint/suspicious/noExplicitAny: a test reads JSON that it knows
const bodyOf = (answer: Response): Promise<any> => answer.json()

describe('the live door over HTTP', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite, { env: { LIVE_TOPICS: 'build.*' } })
  })
  const open = (query = '', headers: Record<string, string> = {}, from = gateway): Promise<StreamClient> =>
    openStream(`${from.http}/live/sse${query}`, headers)
  const post = async (client: StreamClient, frame: unknown, headers: Record<string, string> = {}) => {
    const { connection_id: id, secret } = await client.first('stream')
    return fetch(`${gateway.http}/live/sse/${id}`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${secret}`, 'Content-Type': 'application/json', ...headers },
      body: typeof frame === 'string' ? frame : JSON.stringify(frame),
    })
  }
  /** Every event but the first is a frame of the contract, under the name of its type. */
  const checkContract = (client: StreamClient) => {
    for (const { event, data } of client.events.slice(1)) {
      checkServerFrame(data)
      assert.equal(JSON.parse(data).type, event)
    }
  }

  it('sends the frames of the contract, each as an event with the name of its type', async () => {
    const client = await open('?subscriptions=agents,build.one,nothing&initialized=1')
    const established = await client.first('connection_established')
    assert.deepEqual(established.subscriptions, ['agents', 'build.one'])
    const { connection_id: id } = await client.first('stream')
    assert.equal(established.connection_id, id)
    await client.first('dashboard_initialized')
    await eventually(() => client.of('error').length > 0, 'the error')
    await gateway.agent.publish('live:build.one', '{"type":"step","data":{\n"n": 1}}')
    const step = await client.first('step')
    assert.deepEqual(step.data, { n: 1 })
    checkContract(client)
    client.close()
  })

  it('takes the frames of the client by POST, and answers on the stream', async () => {
    const client = await open('?subscriptions=agents')
    assert.equal((await post(client, { type: 'subscribe', subscriptions: ['build.two'] })).status, 202)
    await client.first('subscription_updated')
    await gateway.agent.publish('live:build.two', '{"n":2}')
    await eventually(() => client.events.some(({ data }) => data.includes('"n":2')), 'the message')
    assert.equal((await post(client, { type: 'ping', client_time: 7 })).status, 202)
    assert.equal((await client.first('pong')).client_time, 7)
    await post(client, { type: 'request_data', data_type: 'agent_status' })
    await eventually(() => client.of('data_response').length + client.of('data_error').length > 0, 'the data')
    await post(client, 'no json')
    await eventually(() => client.of('error').length > 0, 'the error')
    checkContract(client)
    client.close()
  })

  it('stays open while its topics are quiet, unlike a socket', async (t) => {
    const env = { LIVE_TOPICS: 'build.*', LIVE_IDLE_TIMEOUT: '300ms', SSE_PING_INTERVAL: '1s' }
    const own = await gatewayFor(t, { redis: gateway.redis, env })
    const client = await open('?subscriptions=build.quiet', {}, own)
    await client.first('connection_established')
    for (const n of [1, 2]) {
      const socket = await live(own, '/live?subscriptions=build.quiet')
      assert.equal((await within(socket.closed, 'the close')).code, 4408, `socket ${n}`)
    }
    assert.deepEqual(client.of('disconnect_notice'), [])
    await gateway.agent.publish('live:build.quiet', '{"n":1}')
    await eventually(() => client.events.some(({ data }) => data.includes('"n":1')), 'the message')
    assert.equal(await own.metric('wsproxy_live_idle_disconnects_total'), 2)
    client.close()
  })

  it('takes frames only with the secret of the stream, and only of this instance', async () => {
    const [mine, other] = [await open(), await open()]
    const { secret } = await other.first('stream')
    const outcome = async (answer: Response) => [answer.status, (await bodyOf(answer)).error.code]
    const frame = { type: 'ping' }
    assert.deepEqual(await outcome(await post(mine, frame, { Authorization: `Bearer ${secret}` })), [
      403,
      'token-rejected',
    ])
    assert.deepEqual(await outcome(await post(mine, frame, { Authorization: '' })), [401, 'credentials-missing'])
    mine.close()
    await eventually(async () => (await post(mine, frame)).status === 404, 'the stream to be gone')
    other.close()
  })

  it('asks for the token of the door, and refuses as HTTP', async () => {
    const closed = await gatewayFor(suite, {
      redis: gateway.redis,
      env: { WS_AUTH_REQUIRED: 'true', WS_AUTH_TOKEN: 'shared-token-of-the-tests', SSE_MAX_LIFETIME: '1s' },
    })
    assert.equal((await open('', {}, closed)).status, 401)
    assert.equal((await open('', { Authorization: 'Bearer another' }, closed)).status, 403)
    const client = await open('', { Authorization: 'Bearer shared-token-of-the-tests' }, closed)
    assert.equal(client.status, 200)
    await client.ended()
    assert.deepEqual([client.goodbye?.reason, client.retryMs], ['draining', 0])
    assert.equal(await closed.metric('wsproxy_disconnections_total', { door: 'live-sse', code: '1001' }), 1)
  })
})
