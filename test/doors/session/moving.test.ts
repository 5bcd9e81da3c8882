import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sessionAuth, sessionDown, sessionUp } from '../../../src/contract/names.ts'
import { connect, refused } from '../../support/client.ts'
import { gatewayFor, type TestGateway } from '../../support/gateway.ts'
import { scopeOf } from '../../support/scope.ts'
import { eventually } from '../../support/wait.ts'

describe('the session door for clients of an older gateway', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite)
  })

  /** What the agent of a session hears from now on. */
  async function heardOf(session: string): Promise<string[]> {
    const heard: string[] = []
    const agent = await gateway.redis.client()
    await agent.subscribe(sessionUp(session), (message: string) => void heard.push(message))
    return heard
  }

  it('a client that sends 500 frames at once loses none, in order', async () => {
    const heard = await heardOf('burst')
    const client = await gateway.join('burst')
    const frames = Array.from({ length: 500 }, (_, n) => JSON.stringify({ n }))
    for (const frame of frames) client.send(frame)
    await eventually(() => heard.length === 500, 'all frames')
    assert.deepEqual(heard, frames)
    assert.deepEqual(client.frames, [])
    await client.close()
  })

  it("a ping with an id, or any other member, is the agent's, and a bare one is answered here", async () => {
    const heard = await heardOf('pings')
    const client = await gateway.join('pings')
    const own = [
      '{"type":"ping","id":7}',
      '{"type":"control","command":"ping","at":1}',
      '{"type":"ping","timestamp":0}',
    ]
    for (const frame of ['{"type":"ping"}', ...own, '{"type":"control","command":"ping"}']) client.send(frame)
    await eventually(() => heard.length === own.length && client.frames.length === 2, 'pings and pongs')
    assert.deepEqual(heard, own)
    assert.deepEqual(
      client.values.map(({ type, command }) => [type, command]),
      [
        ['pong', undefined],
        ['control', 'pong'],
      ],
    )
    await client.close()
  })

  for (const [path, id] of [
    ['x:y', 'x:y'],
    ['u@e', 'u@e'],
    ['a%2Bb', 'a+b'],
    ['~t=1.2', '~t=1.2'],
    ['x%3Ay/', 'x:y'],
    ['s'.repeat(200), 's'.repeat(200)],
  ] as const) {
    it(`the session id ${path.slice(0, 20)} is taken as ${id.slice(0, 20)}`, async () => {
      await gateway.agent.set(sessionAuth(id), 'token')
      const client = await connect(`${gateway.url}/agent/ws/${path}`, { token: 'token' })
      await gateway.agent.publish(sessionDown(id), '{"n":1}')
      assert.deepEqual(await client.take(1), ['{"n":1}'])
      await client.close()
    })
  }

  for (const path of ['a%2Ab', 'a%7Bb', 'a%20b', 'a%2Fb', '%00', 'a%253Ab', 's'.repeat(201)]) {
    it(`the session id ${path.slice(0, 20)} is refused with 400`, async () => {
      assert.deepEqual((await refused(`${gateway.url}/agent/ws/${path}`, { token: 'token' })).code, 'malformed-id')
    })
  }

  it('binary frames pass with SESSION_BINARY=pass', async (t) => {
    const voice = await gatewayFor(t, { redis: gateway.redis, env: { SESSION_BINARY: 'pass' } })
    const heard = await heardOf('voice')
    const client = await voice.join('voice')
    client.socket.send(Buffer.from('not json'))
    await eventually(() => heard.length === 1, 'the frame')
    assert.deepEqual(heard, ['not json'])
    await client.close()
  })
})
