import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it, mock } from 'node:test'
import { fileURLToPath } from 'node:url'
import { build, type Plugin } from 'esbuild'
import { page } from '../support/pages.ts'
import { FakeSocket, freezeTime, settle } from './fake-socket.ts'

const MAX_LINES = 30
const CLIENT = fileURLToPath(new URL('../../../client/src/index.ts', import.meta.url))
const POSITION = { type: 'control', command: 'position', grade: 'exact', epoch: 'e1', offset: 0 }
const BLOCKS = [...page('docs/guide/frameworks.md').matchAll(/```js\n\/\/ (\w+)\n([\s\S]*?)```/g)]

/** The part of each framework that the guide uses. The test ends a component of Vue by `fake`. */
const FAKES: Readonly<Record<string, string>> = {
  vue: `export const ref = (value) => ({ value })
    export const onUnmounted = (end) => { globalThis.fake.unmount = end }`,
  'svelte/store': `export const readable = (value, start) => ({
      subscribe(run) {
        const set = (next) => run((value = next))
        run(value)
        return start(set, (change) => set(change(value)))
      },
    })`,
  ws: 'export const WebSocket = globalThis.WebSocket',
}

const fakes: Plugin = {
  name: 'fakes',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(vue|svelte\/store|ws)$/ }, ({ path }) => ({ path, namespace: 'fake' }))
    onLoad({ filter: /.*/, namespace: 'fake' }, ({ path }) => ({ contents: FAKES[path]! }))
  },
}

interface Chat {
  readonly text: { value: string }
  readonly state: { value: string }
}

/** Runs the code of the guide with its client in it, and returns what it exports. */
async function run(name: string): Promise<Record<string, (...values: unknown[]) => unknown>> {
  const [, , contents] = BLOCKS.find(([, each]) => each === name)!
  const { outputFiles } = await build({
    stdin: { contents: contents!, resolveDir: fileURLToPath(new URL('.', import.meta.url)) },
    alias: { 'wsproxy-client': CLIENT },
    plugins: [fakes],
    bundle: true,
    format: 'esm',
    write: false,
  })
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0]!.contents).toString('base64')}`)
}

async function speak(): Promise<void> {
  await settle()
  FakeSocket.last.open().say(POSITION, '1 {"type":"token","text":"Hel"}', '2 {"type":"token","text":"lo"}')
}

describe('the guide for frameworks', () => {
  const platform = globalThis as unknown as Record<string, unknown>
  const before = { WebSocket: platform.WebSocket, document: platform.document, fake: undefined }
  let fake: { unmount?: () => void; click?: () => void }
  beforeEach(() => {
    freezeTime()
    fake = {}
    Object.assign(platform, { WebSocket: FakeSocket, fake })
  })
  afterEach(() => {
    Object.assign(platform, before)
    mock.timers.reset()
    mock.restoreAll()
  })

  it('has at most 30 lines for each', () => {
    assert.deepEqual(
      BLOCKS.map(([, name]) => name),
      ['page', 'vue', 'svelte', 'node'],
    )
    for (const [, name, code] of BLOCKS) assert.ok(code!.split('\n').length <= MAX_LINES, name)
  })

  it('works in a plain page', async () => {
    const words: string[] = []
    const element = { append: (word: string) => words.push(word), title: '', onclick: () => {} }
    platform.document = { querySelector: () => element, addEventListener() {}, removeEventListener() {} }
    mock.method(globalThis, 'fetch', async () => new Response('token'))
    await run('page')
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
    await speak()
    assert.deepEqual([words.join(''), element.title], ['Hello', 'open'])
    element.onclick()
    assert.equal(FakeSocket.last.sent.at(-1), '1 {"type":"control","command":"cancel"}')
    FakeSocket.last.say({ type: 'control', command: 'ack', n: 1, receivers: 1 })
    FakeSocket.last.end(1000)
  })

  it('works in Vue', async () => {
    const { useChat } = await run('vue')
    const { text, state } = useChat!('s1', 'token') as Chat
    await speak()
    assert.deepEqual([text.value, state.value], ['Hello', 'open'])
    fake.unmount!()
    assert.equal(FakeSocket.last.closed, 1000)
  })

  it('works in Svelte', async () => {
    const { chatText } = await run('svelte')
    const store = chatText!('s1', 'token') as { subscribe(run: (text: string) => void): () => void }
    const shown: string[] = []
    const stop = store.subscribe((text) => shown.push(text))
    await speak()
    assert.deepEqual(shown, ['', 'Hel', 'Hello'])
    stop()
    assert.equal(FakeSocket.last.closed, 1000)
  })

  it('works in Node', async () => {
    const written: unknown[] = []
    const running = run('node')
    while (FakeSocket.made.length === 0) await new Promise((resolve) => setImmediate(resolve))
    const write = mock.method(process.stdout, 'write', (text: unknown) => written.push(text))
    await speak()
    FakeSocket.last.end(1000)
    await running
    write.mock.restore()
    assert.deepEqual(
      written.filter((text) => text === 'Hel' || text === 'lo'),
      ['Hel', 'lo'],
    )
  })
})
