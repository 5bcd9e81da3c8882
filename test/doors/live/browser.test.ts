import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { liveChannel } from '../../../src/contract/names.ts'
import { startBrowser, withoutBrowser } from '../../support/browser.ts'
import { killCommands, serve } from '../../support/cli.ts'
import { freePort } from '../../support/ports.ts'
import { type Client, redisFor, type TestRedis } from '../../support/redis.ts'
import { atEnd, scopeOf } from '../../support/scope.ts'
import { eventually } from '../../support/wait.ts'

const PAGE = pathToFileURL(fileURLToPath(new URL('../../../../examples/live.html', import.meta.url)))

describe('examples/live.html in a browser', { skip: withoutBrowser }, () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let agent: Client
  let browser: Browser
  let page: Page
  let port: number
  const start = async (env: Record<string, string> = {}) => {
    const gateway = await serve({ REDIS_URL: redis.url, DRAIN_WINDOW: '0', ...env, LISTEN_ADDR: `127.0.0.1:${port}` })
    await eventually(async () => (await fetch(`${gateway.http}/ready`)).ok, 'the gateway to be ready')
    return gateway
  }
  before(async () => {
    redis = await redisFor(suite)
    atEnd(suite, killCommands)
    agent = await redis.client()
    port = await freePort()
    browser = await startBrowser()
    atEnd(suite, () => browser.close())
    page = await browser.newPage()
  })

  const text = () => page.evaluate('document.body.innerText') as Promise<string>
  /** Publishes until the page shows it: no event says when the page is back. */
  const showsEventually = async (topic: string, value: string) => {
    await eventually(async () => {
      await agent.publish(liveChannel(topic), JSON.stringify({ value }))
      return (await text()).includes(`${topic}: {"value":"${value}"}`)
    }, `the page to show ${value}`)
  }

  it('the example page reconnects after a restart of the gateway and shows new messages', async () => {
    let gateway = await start()
    await page.goto(`${PAGE}?gateway=ws://127.0.0.1:${port}`)
    await showsEventually('system', 'one')
    await showsEventually('alerts', 'two')
    gateway.command.signal('SIGTERM')
    assert.equal(await gateway.command.status(), 0)
    gateway = await start()
    await showsEventually('tasks', 'three')
    gateway.command.signal('SIGKILL')
    await gateway.command.status()
    gateway = await start()
    await showsEventually('alerts', 'four')
    await showsEventually('system', 'five')
    assert.ok(!(await text()).includes('undefined'))
  })

  it('a refused page sees 4401 for its token and 4403 for its origin', async () => {
    await killCommands()
    const { http } = await start({
      WS_AUTH_REQUIRED: 'true',
      WS_AUTH_TOKEN: 'a-token',
      WS_ALLOWED_ORIGINS: `http://127.0.0.1:${port}`,
    })
    const closeOf = (protocols: string[]) =>
      page.evaluate(`new Promise((resolve) => {
        const socket = new WebSocket('ws://127.0.0.1:${port}/live', ${JSON.stringify(protocols)})
        socket.onmessage = () => { resolve('entered'); socket.close() }
        socket.onclose = ({ code }) => resolve(code)
      })`)
    await page.goto(`${http}/version`)
    assert.equal(await closeOf([]), 4401)
    assert.equal(await closeOf(['wsproxy.v1', 'bearer.bm8']), 4401)
    assert.equal(await closeOf(['wsproxy.v1', `bearer.${Buffer.from('a-token').toString('base64url')}`]), 'entered')
    await page.goto(`http://localhost:${port}/version`)
    assert.equal(await closeOf([]), 4403)
  })
})
