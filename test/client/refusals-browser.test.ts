import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import type { Browser } from 'playwright-core'
import type { State } from '../../client/src/index.ts'
import { startBrowser, withoutBrowser } from '../support/browser.ts'
import { gatewayFor } from '../support/gateway.ts'
import { realRedisFor, type TestRedis, withoutRealRedis } from '../support/redis.ts'
import { atEnd, scopeOf, stopAtEnd } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

const ENTRY = fileURLToPath(new URL('../../../client/src/index.ts', import.meta.url))
const skip = withoutBrowser || withoutRealRedis

interface Window {
  readonly states: readonly State[]
}

describe('a page sees', { skip }, () => {
  const suite = scopeOf(after)
  let redis: Awaited<ReturnType<typeof realRedisFor>>
  let browser: Browser
  let origin = ''
  before(async () => {
    redis = await realRedisFor(suite)
    const options = { bundle: true, format: 'esm', target: 'es2022', write: false } as const
    const { outputFiles } = await build({ ...options, entryPoints: [ENTRY] })
    const page = `<!doctype html><meta charset="utf-8"><script type="module">
      import { session } from '/client.js'
      const { url, token } = Object.fromEntries(new URLSearchParams(location.search))
      window.states = []
      session(url, { agent: 'a', id: 's', token, storage: null }).on('state', (state) => window.states.push(state))
    </script>`
    const server = createServer(({ url = '' }, response) => {
      const isScript = url === '/client.js'
      response.setHeader('Content-Type', isScript ? 'text/javascript' : 'text/html')
      response.end(isScript ? outputFiles[0]!.text : page)
    }).listen(0, '127.0.0.1')
    atEnd(suite, () => {
      server.closeAllConnections()
      server.close()
    })
    await once(server, 'listening')
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    browser = await startBrowser()
    await stopAtEnd(suite, { stop: () => browser.close() })
  })

  const start = (env: Record<string, string> = {}, own: TestRedis = redis) =>
    gatewayFor(suite, { redis: own, env: { AUTH_TOKEN_MODE: 'reusable', ...env } })

  /** Opens the page, and returns the states of its session. */
  async function visit(url: string, token: string): Promise<() => Promise<readonly State[]>> {
    const page = await browser.newPage()
    atEnd(suite, () => page.close())
    await page.goto(`${origin}/?${new URLSearchParams({ url, token })}`)
    return () => page.evaluate(() => (globalThis as unknown as Window).states ?? [])
  }

  /** The first state with a reason. */
  async function outcome(states: () => Promise<readonly State[]>): Promise<unknown[]> {
    const found = async () => (await states()).find((state) => 'reason' in state)
    await eventually(async () => (await found()) !== undefined, 'the outcome')
    const state = (await found()) as Extract<State, { code: number }>
    return [state.name, state.code, state.reason.replace(/ retry=\d+$/, ' retry')]
  }

  it('401 as 4401, and that it is final with a token that is a text', async () => {
    const { url } = await start()
    assert.deepEqual(await outcome(await visit(url, 'wrong')), ['closed', 4401, 'token-rejected'])
  })

  it('403 as 4403, and that it is final', async () => {
    const { url, token } = await start({ ALLOWED_ORIGINS: 'https://other.test' })
    assert.deepEqual(await outcome(await visit(url, await token('s'))), ['closed', 4403, 'origin-not-allowed'])
  })

  it('429 as 4429, and waits as long as the gateway says', async () => {
    const { url, token } = await start({ MAX_CONNECTIONS_PER_IP: '1' })
    const first = await visit(url, await token('s'))
    await eventually(async () => (await first()).at(-1)?.name === 'open', 'the first page')
    const second = await visit(url, await token('s'))
    assert.deepEqual(await outcome(second), ['waiting', 4429, 'address-limit retry'])
  })

  it('503 as 4503, and waits as long as the gateway says', async () => {
    const own = await realRedisFor(suite)
    const { url, token, gateway } = await start({}, own)
    const spare = await token('s')
    await own.kill()
    await eventually(() => !gateway.redisReady, 'the outage')
    assert.deepEqual(await outcome(await visit(url, spare)), ['waiting', 4503, 'redis-unavailable retry'])
  })

  it('a drain as 1001, and the moment to come back at', async () => {
    const { url, token, gateway } = await start()
    const states = await visit(url, await token('s'))
    await eventually(async () => (await states()).at(-1)?.name === 'open', 'the page')
    await gateway.stop()
    assert.deepEqual(await outcome(states), ['waiting', 1001, 'draining'])
    const waiting = (await states()).find(({ name }) => name === 'waiting') as Extract<State, { ms: number }>
    assert.ok(waiting.ms > 1000 && waiting.ms <= 1500, `${waiting.ms} ms`)
  })
})
