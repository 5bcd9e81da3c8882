import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { WebSocket } from 'ws'
import { live, run, type Session, type SocketClass, session, type TopicMessage } from '../../client/src/index.ts'
import { sessionUp } from '../../src/contract/names.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { say } from '../support/numbered.ts'
import { proxyFor } from '../support/proxy.ts'
import { atEnd, scopeOf } from '../support/scope.ts'
import { secretSigner, tokenOf } from '../support/tokens.ts'
import { eventually } from '../support/wait.ts'

const Socket = WebSocket as unknown as SocketClass
const rangeTo = (end: number) => Array.from({ length: end }, (_, i) => i + 1)

describe('the client at a gateway', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite, { env: { LIVE_TOPICS: 'build.*' } })
  })

  function open(id: string, url = gateway.url): Session {
    const chat = session(url, {
      agent: 'agent-1',
      id,
      token: () => gateway.token(id),
      from: 'start',
      storage: null,
      WebSocket: Socket,
    })
    atEnd(suite, () => chat.close())
    return chat
  }

  it('keeps the socket of a JWT that ends by sending the next one', async () => {
    const secret = randomBytes(24).toString('hex')
    const signer = secretSigner(secret)
    const env = { AUTH_JWT_SECRET: secret, AUTH_JWT_SKEW: '0', AUTH_EXPIRY_NOTICE: '1s', WS_AUTH_REQUIRED: 'true' }
    const { url, metric } = await gatewayFor(suite, { redis: gateway.redis, env })
    let signed = 0
    const token = () => {
      signed++
      return tokenOf(signer, { session_id: 'jwt', topics: '*', exp: Math.floor(Date.now() / 1000) + 2 })
    }
    const chat = session(url, { agent: 'agent-1', id: 'jwt', token, storage: null, WebSocket: Socket })
    const hub = live(url, { token, WebSocket: Socket })
    atEnd(suite, () => chat.close())
    atEnd(suite, () => hub.close())
    await eventually(() => chat.state.name === 'open' && hub.state.name === 'open', 'both to open')
    await eventually(() => signed >= 8, 'three renewals of each', 15_000)
    assert.deepEqual([chat.state.name, hub.state.name], ['open', 'open'])
    const opened = await Promise.all(
      ['session', 'live'].map((door) => metric('wsproxy_connections_total', { door, result: 'accepted' })),
    )
    assert.deepEqual(opened, [1, 1])
    chat.close()
    hub.close()
  })

  it('misses no word over lost connections and a change of the gateway', async () => {
    const second = await gatewayFor(suite, { redis: gateway.redis })
    const port = (url: string) => Number(new URL(url).port)
    const proxy = await proxyFor(suite, port(gateway.url))
    const chat = open('words', `ws://127.0.0.1:${proxy.port}`)
    const gaps: unknown[] = []
    chat.on('gap', (gap) => gaps.push(gap))
    const words = 300
    const writing = (async () => {
      for (const n of rangeTo(words)) {
        await say(gateway.agent, 'words', JSON.stringify({ n }), n === words ? 'close' : '')
        if (n % 100 !== 50) continue
        await eventually(() => chat.state.name === 'open', 'the connection')
        if (n === 150) proxy.switchTo(port(second.url))
        proxy.cut()
        proxy.restore()
      }
    })()
    const got: number[] = []
    for await (const { data, offset } of chat) {
      got.push(data.n)
      assert.equal(offset, data.n)
      if (data.n === words) break
    }
    await writing
    assert.deepEqual(got, rangeTo(words))
    assert.deepEqual(gaps, [])
    assert.ok(proxy.connections >= 3)
  })

  it('sends frames to the agent, and hears how many listened', async () => {
    const chat = open('up')
    assert.equal(await chat.send({ agent: 'away' }), 0)
    const heard: string[] = []
    const agent = await gateway.redis.client()
    await agent.subscribe(sessionUp('up'), (frame) => heard.push(frame))
    assert.equal(await chat.send({ type: 'ask' }), 1)
    assert.equal(await chat.cancel('r7'), 1)
    // Redis may confirm a frame before the agent has read it.
    await eventually(() => heard.length >= 2, 'the frames at the agent')
    assert.deepEqual(heard, ['{"type":"ask"}', '{"type":"control","command":"cancel","run":"r7"}'])
  })

  it('reads why it is refused, and gives up', async () => {
    const chat = session(gateway.url, { agent: 'a', id: 's', token: 'wrong', storage: null, WebSocket: Socket })
    atEnd(suite, () => chat.close())
    await eventually(() => chat.state.name === 'closed', 'the end')
    assert.deepEqual(chat.state, { name: 'closed', code: 4401, reason: 'token-rejected' })
  })

  it('gets the messages of a topic, and data', async () => {
    const hub = live(gateway.url, { WebSocket: Socket })
    atEnd(suite, () => hub.close())
    const got: TopicMessage[] = []
    hub.subscribe('build.7', (message) => got.push(message))
    await eventually(async () => {
      await gateway.agent.publish('live:build.7', '{"done":1}')
      return got.length > 0
    }, 'a message')
    assert.deepEqual(got[0]!.data, { done: 1 })
    assert.deepEqual(Object.keys((await hub.request('system_health')) as object), ['overall_status', 'components'])
  })

  it('follows a run', async () => {
    const checks = run(gateway.url, { id: 'run-1', WebSocket: Socket })
    atEnd(suite, () => checks.close())
    const changes: (readonly string[])[] = []
    checks.on('change', ({ changed }) => changes.push(changed))
    await eventually(() => changes.length === 1, 'the checklist')
    assert.ok(Object.values(checks.checklist).every((value) => value === false))
  })
})
