import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { after, afterEach, before, describe, it, mock } from 'node:test'
import { WebSocket } from 'ws'
import { type Live, live, type SocketClass, type State, session } from '../../client/src/index.ts'
import type { Envelope } from '../../client/src/live.gen.ts'
import { overLive } from '../../client/src/offline/index.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { scopeOf } from '../support/scope.ts'
import { secretSigner, tokenOf } from '../support/tokens.ts'
import { eventually } from '../support/wait.ts'
import { BlockedSocket } from './blocked-socket.ts'

const Socket = WebSocket as unknown as SocketClass
const SECRET = randomBytes(24).toString('hex')
const LIMIT = 4096
const TRANSPORTS = { WebSocket: Socket, 'server-sent events': BlockedSocket as unknown as SocketClass }

describe('a frame that the gateway would not take', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  const opened: { close(): void }[] = []
  before(async () => {
    const env = {
      AUTH_JWT_SECRET: SECRET,
      AUTH_TOKEN_MODE: 'reusable',
      WS_AUTH_REQUIRED: 'true',
      LIVE_TOPICS: 'build.*',
      OUTBOX_TOPICS: 'build.*',
      MAX_MESSAGE_SIZE: String(LIMIT),
    }
    gateway = await gatewayFor(suite, { env })
  })
  afterEach(() => {
    for (const each of opened.splice(0)) each.close()
    mock.restoreAll()
  })

  const token = () => tokenOf(secretSigner(SECRET), { sub: 'ann', topics: '*', publish_topics: '*' })
  const envelope = (data: string | number): Envelope => ({
    correlation_id: randomUUID(),
    ts: Date.now(),
    op: 'update',
    domain: 'tasks',
    id: 't1',
    data,
  })

  async function openHub(Class: SocketClass): Promise<{ hub: Live; names: string[] }> {
    // The pauses before the fourth dial.
    mock.method(Math, 'random', () => 0.01)
    const hub = live(gateway.url, { token, WebSocket: Class })
    opened.push(hub)
    const names: string[] = []
    await eventually(() => hub.state.name === 'open', 'the connection')
    hub.on('state', ({ name }: State) => names.push(name))
    await hub.request('system_health')
    return { hub, names }
  }

  for (const [name, Class] of Object.entries(TRANSPORTS)) {
    it(`is rejected by a live connection over ${name}, which stays open`, async () => {
      const { hub, names } = await openHub(Class)
      for (const size of [LIMIT, 2 * LIMIT, 20 * LIMIT]) {
        const other = hub.publish('build.7', envelope(1))
        await assert.rejects(hub.publish('build.7', envelope('é'.repeat(size / 2))), (error: Error) => {
          const { code } = error as Error & { code?: string }
          assert.equal(code, 'message-too-large')
          assert.match(String(error), new RegExp(`^Error: \\d{4,5} bytes, MAX_MESSAGE_SIZE is ${LIMIT}$`))
          return true
        })
        assert.equal((await other).duplicate, false)
      }
      assert.deepEqual(names, [])
    })

    it(`is rejected by a session over ${name}, which stays open`, async () => {
      mock.method(Math, 'random', () => 0.01)
      const [id, storage] = [name.replaceAll(' ', '-'), null]
      const chat = session(gateway.url, {
        agent: 'a',
        id,
        token: () => gateway.token(id),
        storage,
        WebSocket: Class,
      })
      opened.push(chat)
      // Nothing is known of the gateway yet.
      const early = chat.send('x'.repeat(LIMIT))
      const words = { code: 'refused', detail: `${LIMIT + 4} bytes, MAX_MESSAGE_SIZE is ${LIMIT}` }
      await assert.rejects(early, words)
      const names: string[] = []
      chat.on('state', (state) => names.push(state.name))
      for (const size of [LIMIT, 3 * LIMIT, 1024 * LIMIT]) {
        const other = chat.send('small')
        await assert.rejects(chat.send('é'.repeat(size / 2)), { code: 'refused' })
        assert.equal(await other, 0)
      }
      assert.deepEqual(names, [])
    })
  }
  it('is answered at once in a list of envelopes, whose others are published', async () => {
    const { hub, names } = await openHub(Socket)
    const list = [1, 'x'.repeat(20 * LIMIT), 2].map((data) => ({ topic: 'build.7', envelope: envelope(data) }))
    const answers = await overLive(hub).publish(list)
    assert.deepEqual(
      answers.map(({ code }) => code),
      [undefined, 'message-too-large', undefined],
    )
    assert.deepEqual(names, [])
  })
})
