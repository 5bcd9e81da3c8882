import assert from 'node:assert/strict'
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { after, before, describe, it } from 'node:test'
import { sessionAuth, sessionUp } from '../../src/contract/names.ts'
import { balancerFor, balancers, type RunningBalancer, without } from '../support/balancer.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { say } from '../support/numbered.ts'
import { redisFor, type TestRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { openStream } from '../support/sse.ts'
import { eventually } from '../support/wait.ts'

const BEARER = { Authorization: 'Bearer token' }

/** What operators add who do not think of streams. */
const BUFFERING = {
  nginx: (text: string) => text.replace('proxy_http_version 1.1;', 'proxy_http_version 1.1; proxy_buffering on;'),
  haproxy: (text: string) =>
    text
      .replace(
        'mode http',
        'mode http\n  option http-buffer-request\n  compression algo gzip\n  compression type text/event-stream',
      )
      .replace('timeout client 10s', 'timeout client 1s')
      .replace('timeout server 10s', 'timeout server 1s'),
}

for (const balancer of balancers) {
  describe(`streams behind ${balancer.name} with buffering`, { skip: without(balancer) }, () => {
    const suite = scopeOf(after)
    let redis: TestRedis
    let gateways: TestGateway[]
    let front: RunningBalancer
    before(async () => {
      redis = await redisFor(suite)
      const env = { TRUST_PROXY: balancer.trustProxy, AUTH_TOKEN_MODE: 'reusable', SSE_PING_INTERVAL: '3s' }
      gateways = await Promise.all(
        [0, 1].map(() => gatewayFor(suite, { redis, env: { ...env, PREFLIGHT_CHECK_TIMEOUT: '2s' } })),
      )
      const ports = gateways.map(({ http }) => Number(new URL(http).port))
      front = await balancerFor(suite, balancer, ports, BUFFERING[balancer.name])
    })

    it('pass each event when it comes', async () => {
      await gateways[0]!.agent.set(sessionAuth('s'), 'token')
      const client = await openStream(`${front.http}/agent-1/sse/s`, { ...BEARER, 'Accept-Encoding': 'gzip' })
      assert.equal(client.response.headers['content-encoding'], undefined)
      await client.first('position')
      for (let n = 1; n <= 5; n++) {
        await say(gateways[0]!.agent, 's', `{"n":${n}}`)
        await client.take(n)
      }
      client.close()
    })

    it('stay open while they are silent, past the timeouts of other answers', async () => {
      await gateways[0]!.agent.set(sessionAuth('quiet'), 'token')
      const client = await openStream(`${front.http}/agent-1/sse/quiet`, BEARER)
      await client.first('position')
      await eventually(() => client.comments >= 4 || client.isEnded, 'comments')
      assert.equal(client.isEnded, false)
      await say(gateways[0]!.agent, 'quiet', '{"n":1}')
      await client.take(1)
      client.close()
    })

    it('end in the gateway when the client has gone', async () => {
      await gateways[0]!.agent.set(sessionAuth('gone'), 'token')
      const asked = get(`${front.http}/agent-1/sse/gone`, { headers: BEARER, agent: false })
      const [answer] = (await once(asked, 'response')) as [IncomingMessage]
      assert.equal(answer.statusCode, 200)
      answer.on('error', () => {})
      asked.on('error', () => {})
      asked.destroy()
      const open = async () => {
        const counts = await Promise.all(
          gateways.map((each) => each.metric('wsproxy_active_connections', { door: 'sse' })),
        )
        return counts.reduce((sum, count) => sum + count, 0)
      }
      await eventually(async () => (await open()) === 0, 'no stream')
    })

    it('pass posts of clients, and find the stream of a live client again', async () => {
      await gateways[0]!.agent.set(sessionAuth('up'), 'token')
      const heard: string[] = []
      const listener = await redis.client()
      await listener.subscribe(sessionUp('up'), (message) => void heard.push(message))
      const posted = await fetch(`${front.http}/agent-1/sse/up`, {
        method: 'POST',
        headers: { ...BEARER, 'Content-Type': 'application/json' },
        body: '{"type":"ask"}',
      })
      assert.equal(posted.status, 202)
      await eventually(() => heard.length === 1, 'the frame')
      for (let i = 0; i < 6; i++) {
        const live = await openStream(`${front.http}/live/sse?subscriptions=agents`)
        const { connection_id: id, secret } = await live.first('stream')
        const ping = await fetch(`${front.http}/live/sse/${id}`, {
          method: 'POST',
          headers: { Authorization: `Bearer ${secret}`, 'Content-Type': 'application/json' },
          body: '{"type":"ping"}',
        })
        assert.equal(ping.status, 202)
        await live.first('pong')
        live.close()
      }
    })
  })
}
