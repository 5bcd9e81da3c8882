import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it, mock } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import * as client from '../../client/src/index.ts'
import { temporaryFolder } from '../support/folder.ts'
import { eventually } from '../support/wait.ts'
import { BlockedSocket } from './blocked-socket.ts'
import { FakeSocket, freezeTime, settle } from './fake-socket.ts'
import { storeOf } from './fake-store.ts'

const KEY = 'wsproxy plain'
const INDEX = fileURLToPath(new URL('../../../client/src/index.ts', import.meta.url))
const POSITION = { type: 'control', command: 'position', grade: 'none' }

/** WebSockets of a network that lets none of the first ones through. */
const blockedFor = (dials: number) =>
  new Proxy(FakeSocket, {
    construct: (_, [url, protocols]) => {
      if (BlockedSocket.dials < dials) return new BlockedSocket()
      const socket = new FakeSocket(url, protocols)
      setImmediate(() => socket.open().say(POSITION))
      return socket
    },
  }) as unknown as client.SocketClass

describe('what a client remembers of a network', () => {
  const chats: client.Session[] = []
  beforeEach(() => {
    BlockedSocket.dials = 0
    FakeSocket.made = []
    // The pauses before the fourth dial.
    mock.method(Math, 'random', () => 0.01)
  })
  afterEach(() => {
    for (const chat of chats.splice(0)) chat.close()
    mock.timers.reset()
    mock.restoreAll()
  })

  function open(storage: client.KeyValueStore, WebSocket: client.SocketClass, session = client.session) {
    const chat = session('ws://gw', { agent: 'a', id: 's', WebSocket, storage })
    chats.push(chat)
    return { isOpen: () => eventually(() => chat.state.name === 'open', 'the connection') }
  }
  const refusing = () => mock.method(globalThis, 'fetch', () => Promise.reject(new Error('refused')))

  it('is not that a page of the network itself stands in for the gateway', async () => {
    const storage = storeOf()
    mock.method(globalThis, 'fetch', async () => new Response('<h1>Log in to this network</h1>'))
    const { isOpen } = open(storage, blockedFor(6))
    await isOpen()
    assert.equal(BlockedSocket.dials, 6, 'WebSockets come next')
    assert.equal(storage.getItem(KEY), null)
  })

  it('ends with a WebSocket that opens', async () => {
    const storage = storeOf()
    storage.setItem(KEY, String(Date.now() + 100_000))
    refusing()
    await open(storage, blockedFor(0)).isOpen()
    assert.equal(storage.getItem(KEY), null)
  })

  it('is not that the part for such networks could not be loaded', async (t) => {
    const outfile = join(temporaryFolder(t).TMPDIR, 'client.mjs')
    const options = { bundle: true, format: 'esm', target: 'es2022', write: false } as const
    const { outputFiles } = await build({ ...options, entryPoints: [INDEX], external: ['./sse.ts'] })
    await writeFile(outfile, outputFiles[0]!.contents)
    const alone: typeof client = await import(pathToFileURL(outfile).href)
    const storage = storeOf()
    await open(storage, blockedFor(3), alone.session as typeof client.session).isOpen()
    assert.equal(FakeSocket.made.length, 1, 'the fourth dial, which opens')
    assert.equal(storage.getItem(KEY), null)
  })

  it('counts for five minutes at most, however the clock was set', async () => {
    freezeTime()
    const storage = storeOf()
    storage.setItem(KEY, String(Date.now() + 86_400_000))
    open(storage, FakeSocket)
    await settle()
    assert.equal(FakeSocket.made.length, 1)
  })
})
