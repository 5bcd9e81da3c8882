import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it, mock } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import type * as client from '../../client/src/index.ts'
import type * as hooks from '../../client/src/react.ts'
import type * as fake from './fake-react.ts'
import { FakeSocket, freezeTime, pass, settle } from './fake-socket.ts'

/** The budget of the hooks, without the client and without React. */
const MAX_GZIPPED_BYTES = 1024
const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const GATEWAY = 'wss://gw.example'
const POSITION = { type: 'control', command: 'position', grade: 'exact', epoch: 'e1', offset: 0 }

/** The components of the guide, which show their children. */
interface Example {
  Chat(props: { id: string; token: string }): unknown
  Build(): unknown
  Ready(props: { id: string }): unknown
}

describe('the hooks for React', () => {
  let folder: string
  let react: typeof hooks & typeof client & typeof fake & Example
  let tokens: string[]
  const token = () => 'token'
  const base = { WebSocket: FakeSocket, storage: null, token }

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'wsproxy-react-'))
    const outfile = join(folder, 'react.mjs')
    const fakeReact = join(ROOT, 'test/client/fake-react.ts')
    const [, example] = /```jsx\n([\s\S]*?)```/.exec(await readFile(join(ROOT, 'docs/guide/client.md'), 'utf8')) ?? []
    assert.ok(example)
    await build({
      stdin: {
        contents: `
          const h = (type, props, ...children) => children
          export * from './react.ts'
          export * from './index.ts'
          export * from ${JSON.stringify(fakeReact)}
          ${example}`,
        loader: 'jsx',
        resolveDir: join(ROOT, 'client/src'),
      },
      jsxFactory: 'h',
      alias: {
        react: fakeReact,
        'wsproxy-client/react': join(ROOT, 'client/src/react.ts'),
        'wsproxy-client': join(ROOT, 'client/src/index.ts'),
      },
      bundle: true,
      format: 'esm',
      platform: 'node',
      outfile,
    })
    react = await import(pathToFileURL(outfile).href)
  })
  after(() => rm(folder, { recursive: true }))
  beforeEach(() => {
    tokens = []
    freezeTime()
  })
  afterEach(() => {
    mock.timers.reset()
    mock.restoreAll()
  })

  const sessionOf = (id: string, got: client.Message[], own: () => string = token) =>
    react.useSession(GATEWAY, { ...base, agent: 'a', id, token: own }, (message) => void got.push(message))

  it('have at most 1 KB, minified and gzipped', async () => {
    const { outputFiles } = await build({
      entryPoints: [join(ROOT, 'client/src/react.ts')],
      bundle: true,
      minify: true,
      format: 'esm',
      external: ['react', './index.ts', './offline/index.ts'],
      write: false,
    })
    const bytes = gzipSync(outputFiles[0]!.contents, { level: 9 }).length
    assert.ok(bytes <= MAX_GZIPPED_BYTES, `${bytes} bytes`)
  })

  it('show the state of a session and hand over its messages', async () => {
    const got: client.Message[] = []
    const mounted = new react.Mounted(() => sessionOf('s1', got))
    assert.equal(mounted.shown.state.name, 'connecting')
    await settle()
    FakeSocket.last.open().say(POSITION, '1 {"n":1}')
    assert.equal(mounted.shown.state.name, 'open')
    assert.deepEqual(got, [{ data: { n: 1 }, offset: 1 }])
    const sent = mounted.shown.session!.send('hello')
    assert.equal(FakeSocket.last.sent.at(-1), '1 "hello"')
    FakeSocket.last.say({ type: 'control', command: 'ack', n: 1, receivers: 1 })
    assert.equal(await sent, 1)
    mounted.unmount()
    assert.equal(FakeSocket.last.closed, 1000)
    await pass(60_000)
    assert.equal(FakeSocket.made.length, 1)
  })

  it('open one socket where effects run twice, as in StrictMode', async () => {
    const mounted = new react.Mounted(() => sessionOf('s1', []), { strict: true })
    await settle()
    assert.equal(FakeSocket.made.length, 1)
    FakeSocket.last.open().say(POSITION)
    assert.equal(mounted.shown.state.name, 'open')
    mounted.unmount()
  })

  it('keep the session over renders, and ask the functions of the newest one', async () => {
    const first: client.Message[] = []
    const second: client.Message[] = []
    const asked = (name: string) => () => {
      tokens.push(name)
      return name
    }
    const mounted = new react.Mounted(() => sessionOf('s1', first, asked('t1')))
    await settle()
    FakeSocket.last.open().say(POSITION, '1 1')
    mounted.update(() => sessionOf('s1', second, asked('t2')))
    await settle()
    assert.equal(FakeSocket.made.length, 1)
    FakeSocket.last.say('2 2')
    assert.deepEqual([first.map(({ data }) => data), second.map(({ data }) => data)], [[1], [2]])
    FakeSocket.last.end(1006)
    await pass(500)
    assert.deepEqual(tokens, ['t1', 't2'])
    mounted.unmount()
  })

  it('leave one session for another when the id changes', async () => {
    const mounted = new react.Mounted(() => sessionOf('s1', []))
    await settle()
    FakeSocket.last.open().say(POSITION)
    mounted.update(() => sessionOf('s2', []))
    await settle()
    assert.deepEqual(
      FakeSocket.made.map(({ url, closed }) => [new URL(url).pathname, closed]),
      [
        ['/a/ws/s1', 1000],
        ['/a/ws/s2', undefined],
      ],
    )
    assert.equal(mounted.shown.state.name, 'connecting')
    mounted.unmount()
  })

  it('share one subscription of a topic, and end it with the last component', async () => {
    const hub = react.live(GATEWAY, { WebSocket: FakeSocket })
    await settle()
    FakeSocket.last.open().say({
      type: 'connection_established',
      contract_version: '2.0.0',
      subscriptions: [],
    })
    const use = (topic: string) => () => react.useTopic(hub, topic)
    const [one, two] = [new react.Mounted(use('build.7')), new react.Mounted(use('build.7'))]
    const sent = () => FakeSocket.last.sent.map((frame) => JSON.parse(frame)).map(({ type, topic }) => [type, topic])
    assert.deepEqual(sent(), [['subscribe', 'build.7']])
    assert.equal(one.shown?.data, undefined)
    FakeSocket.last.say({ subscription: 'build.7', data: { done: 1 } })
    assert.deepEqual(one.shown?.data, { done: 1 })
    assert.equal(one.shown, two.shown)
    one.unmount()
    two.update(use('build.8'))
    assert.equal(two.shown, undefined, 'another topic begins without a message')
    two.unmount()
    assert.deepEqual(sent().slice(1).sort(), [
      ['subscribe', 'build.8'],
      ['unsubscribe', 'build.7'],
      ['unsubscribe', 'build.8'],
    ])
    hub.close()
  })

  it('show where an outbox stands', () => {
    let changed = () => {}
    const box = { state: { name: 'idle', pending: 0 }, on: (_: string, listener: () => void) => (changed = listener) }
    const mounted = new react.Mounted(() => react.useOutbox(box as never))
    assert.deepEqual(mounted.shown, { name: 'idle', pending: 0 })
    box.state = { name: 'waiting', pending: 2 }
    changed()
    assert.deepEqual(mounted.shown, { name: 'waiting', pending: 2 })
    mounted.unmount()
  })

  it('show the checklist of a run', async () => {
    const mounted = new react.Mounted(() => react.useRun(GATEWAY, { id: 'r1', WebSocket: FakeSocket, token }))
    await settle()
    FakeSocket.last.open().say({ type: 'preflight', checklist: { ready: true }, lock_statuses: { db: 1 } })
    assert.deepEqual(mounted.shown, { state: { name: 'open' }, checklist: { ready: true }, locks: { db: 1 } })
    mounted.unmount()
    assert.equal(FakeSocket.last.closed, 1000)
  })

  it('work as the guide shows them', async (t) => {
    const platform = globalThis as { WebSocket?: unknown }
    const own = platform.WebSocket
    platform.WebSocket = FakeSocket
    t.after(() => {
      platform.WebSocket = own
    })
    const chat = new react.Mounted(() => react.Chat({ id: 's1', token: 't' }))
    const ready = new react.Mounted(() => react.Ready({ id: 'r1' }))
    await settle()
    const [session, run] = FakeSocket.made.slice(-2)
    session!.open().say(POSITION, '1 {"type":"token","text":"Hel"}', '2 {"type":"token","text":"lo"}')
    run!.open().say({ type: 'preflight', checklist: { channels: true }, lock_statuses: {} })
    assert.deepEqual(chat.shown, ['open', ': ', 'Hello'])
    assert.deepEqual(ready.shown, ['true'])
    chat.unmount()
    ready.unmount()
  })
})
