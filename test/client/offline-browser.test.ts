import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import type { BrowserContext, Page } from 'playwright-core'
import type { Envelope, Live } from '../../client/src/index.ts'
import type { Offline, OfflineState, Thing } from '../../client/src/offline/index.ts'
import { startBrowser, withoutBrowser } from '../support/browser.ts'
import { gatewayProcess } from '../support/gateway-process.ts'
import { freePort } from '../support/ports.ts'
import { type Client, type RealRedis, realRedisFor, withoutRealRedis } from '../support/redis.ts'
import { atEnd, scopeOf, stopAtEnd } from '../support/scope.ts'
import { secretSigner, tokenOf } from '../support/tokens.ts'
import { eventually } from '../support/wait.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const SECRET = randomBytes(24).toString('hex')
const TOKEN = tokenOf(secretSigner(SECRET), { sub: 'ann', topics: '*', publish_topics: '*' })
const LOG = '{live:tasks}:outbox'

/** What the page keeps for the test. */
interface Global {
  hub: Live
  box: Offline
  states: OfflineState[]
  refused: Thing[]
  idb: typeof import('../../client/src/offline/idb.ts')
}

const html = (gateway: string) => `<!doctype html><meta charset="utf-8"><script type="module">
  import { idb, live, offline, overLive } from '/client.js'
  const hub = live('${gateway}', { token: '${TOKEN}' })
  const box = offline({ transport: overLive(hub) })
  Object.assign(window, { hub, box, idb, states: [box.state], refused: [] })
  box.on('state', (state) => window.states.push(state))
  box.on('refused', (thing) => window.refused.push(thing))
  hub.subscribe('tasks', ({ type, data }) => type === 'envelope' && box.receive(data))
</script>`

async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    stdin: {
      contents: `export * from './index.ts'; export * from './offline/index.ts'; export * as idb from './offline/idb.ts'`,
      resolveDir: `${ROOT}client/src`,
    },
    bundle: true,
    format: 'esm',
    write: false,
  })
  return outputFiles[0]!.text
}

describe('the outbox in Chromium', { skip: withoutBrowser || withoutRealRedis }, () => {
  const suite = scopeOf(after)
  let redis: RealRedis
  let agent: Client
  let port = 0
  let address = ''
  let context: BrowserContext
  const heard: string[] = []

  before(async () => {
    redis = await realRedisFor(suite)
    agent = await redis.client()
    const subscriber = await redis.client()
    await subscriber.subscribe('live:tasks', (message) => heard.push((JSON.parse(message) as Envelope).correlation_id))
    port = await freePort()
    const code = await bundle()
    const server = createServer(({ url }, response) => {
      response.setHeader('Content-Type', url === '/client.js' ? 'text/javascript' : 'text/html')
      response.end(url === '/client.js' ? code : html(`ws://127.0.0.1:${port}`))
    }).listen(0, '127.0.0.1')
    atEnd(suite, () => server.close())
    await once(server, 'listening')
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const browser = await startBrowser()
    await stopAtEnd(suite, { stop: () => browser.close() })
    context = await browser.newContext()
  })

  async function tab(): Promise<Page> {
    const page = await context.newPage()
    await page.goto(address)
    await page.waitForFunction('window.box')
    return page
  }
  const edit = (page: Page, from: number, count: number) =>
    page.evaluate(
      async ([first, length]) => {
        const { box } = globalThis as unknown as Global
        for (let n = first!; n < first! + length!; n++) await box.put('tasks', `t${n}`, { n })
      },
      [from, count],
    )
  const state = (page: Page) => page.evaluate(() => (globalThis as unknown as Global).box.state)
  const published = async () =>
    ((await agent.xRange(LOG, '-', '+')) ?? []).map(({ message }) => JSON.parse(message.envelope!) as Envelope)

  it('publishes what two tabs changed offline once each, over a reload and a gateway that is killed', async () => {
    const own = { AUTH_JWT_SECRET: SECRET, WS_AUTH_REQUIRED: 'true', OUTBOX_TOPICS: 'tasks' }
    const env = { REDIS_URL: redis.url, ...own }
    const [one, two] = [await tab(), await tab()]
    await edit(one, 0, 30)
    await edit(two, 30, 30)
    await eventually(async () => (await state(two)).pending === 60, 'all changes to wait')
    const states = () => one.evaluate(() => (globalThis as unknown as Global).states)
    await eventually(async () => (await states()).some(({ name }) => name === 'waiting'), 'the pause to be shown')
    await one.reload()
    await one.waitForFunction('window.box')
    await eventually(async () => (await state(one)).pending === 60, 'the changes after the reload')

    const first = await gatewayProcess(suite, port, env)
    await eventually(async () => (await published()).length >= 5, 'the first envelopes')
    first.kill('SIGKILL')
    const before = (await published()).length
    await edit(two, 60, 5)
    await gatewayProcess(suite, port, env)
    for (const page of [one, two]) await eventually(async () => (await state(page)).pending === 0, 'nothing to wait')
    assert.ok(before < 60, 'the gateway was killed in the middle')
    const ids = (await published()).map(({ id }) => id)
    assert.equal(ids.length, 65)
    assert.equal(new Set(ids).size, 65)
    await eventually(() => heard.length >= 65, 'all of them at the agent')
    assert.equal(heard.length, 65)
    assert.equal(new Set(heard).size, 65)
    const things = await one.evaluate(() => (globalThis as unknown as Global).box.list('tasks'))
    assert.equal(things.length, 65)
    assert.ok(things.every(({ pending, op }) => !pending && op === 'create'))
    for (const page of [one, two]) await page.close()
  })

  it('merges the changes of others, keeps tombstones, and logs the last 100 decisions', async () => {
    const page = await tab()
    const result = await page.evaluate(async () => {
      const { box } = globalThis as unknown as Global
      const remote = (ts: number, op: 'update' | 'delete', n: number) =>
        ({ correlation_id: `c${n}`, ts, op, domain: 'notes', id: 'n1', data: n }) as const
      await box.receive(remote(10, 'update', 1))
      await box.receive(remote(12, 'delete', 2))
      await box.receive(remote(11, 'update', 3))
      const deleted = await box.get('notes', 'n1')
      const listed = await box.list('notes')
      const log = (await box.log()).slice(-2)
      for (let n = 0; n < 150; n++) await box.receive(remote(10, 'update', 1))
      return { deleted, listed, log, length: (await box.log()).length }
    })
    assert.equal(result.deleted?.op, 'delete')
    assert.deepEqual(result.listed, [])
    assert.deepEqual(
      result.log.map(({ winner, reason, local, remote }) => [winner, reason, local?.cid, remote?.cid]),
      [
        ['remote', 'tombstone', 'c1', 'c2'],
        ['local', 'tombstone', 'c2', 'c3'],
      ],
    )
    assert.equal(result.length, 100)
    await page.close()
  })

  it('corrects a clock that is fast, and shows what the gateway refuses for good', async () => {
    const page = await tab()
    await page.evaluate(async () => {
      const { box } = globalThis as unknown as Global
      const now = Date.now
      Date.now = () => now() + 3_600_000
      await box.put('tasks', 'fast', 1)
      await box.put('secret', 's1', 1)
      await box.put('tasks', 'large', 'x'.repeat(600_000))
    })
    await eventually(async () => (await state(page)).pending === 0, 'nothing to wait')
    const fast = (await published()).find(({ id }) => id === 'fast')!
    assert.ok(Math.abs(fast.ts - Date.now()) < 60_000)
    const refused = await page.evaluate(() => (globalThis as unknown as Global).refused)
    assert.deepEqual(
      refused.map(({ domain, refused: code }) => [domain, code]).sort(),
      [
        ['tasks', 'message-too-large'],
        ['secret', 'unknown-topic'],
      ].sort(),
    )
    await page.close()
  })

  it('gives up a change after 7 days without sending it', async () => {
    const page = await tab()
    const before = (await published()).length
    await page.evaluate(async () => {
      const { box, hub } = globalThis as unknown as Global
      hub.close()
      await box.put('tasks', 'old', 1)
      const now = Date.now
      Date.now = () => now() + 8 * 86_400_000
      box.retry()
    })
    await eventually(async () => (await state(page)).pending === 0, 'nothing to wait')
    const refused = await page.evaluate(() => (globalThis as unknown as Global).refused)
    assert.deepEqual(
      refused.map(({ id, refused: code }) => [id, code]),
      [['old', 'expired']],
    )
    assert.equal((await published()).length, before)
    await page.close()
  })

  it('migrates a database version by version with its rows, while an older page is open', async () => {
    const page = await tab()
    const versions = await page.evaluate(async () => {
      const { idb } = globalThis as unknown as Global
      const { indexedDB } = globalThis as unknown as { indexedDB: Parameters<typeof idb.open>[0] }
      const run: string[] = []
      const steps = ['a', 'b', 'c'].map((name) => (db: Awaited<ReturnType<typeof idb.open>>) => {
        run.push(name)
        db.createObjectStore(name)
      })
      const old = await idb.open(indexedDB, 'migrated', steps.slice(0, 1))
      await idb.within(old, ['a'], (table) => idb.result(table('a').put('kept', 1)))
      old.onversionchange = () => old.close()
      const next = await idb.open(indexedDB, 'migrated', steps)
      const kept = await idb.within(next, ['a', 'c'], (table) => idb.result(table('a').get(1)))
      const older = await idb.open(indexedDB, 'migrated', steps.slice(0, 2)).catch(({ name }) => name)
      return { run, kept, older }
    })
    assert.deepEqual(versions, { run: ['a', 'b', 'c'], kept: 'kept', older: 'VersionError' })
    await page.close()
  })
})
