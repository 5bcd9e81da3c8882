import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { type Browser, chromium, type Page } from 'playwright-core'
import { liveChannel } from '../../../src/contract/names.ts'
import { killCommands, serve } from '../../support/cli.ts'
import { freePort } from '../../support/ports.ts'
import { type Client, redisFor, type TestRedis } from '../../support/redis.ts'
import { atEnd, scopeOf } from '../../support/scope.ts'
import { eventually } from '../../support/wait.ts'

const BROWSER = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
)
const skip = BROWSER ? false : 'needs Chromium at /usr/bin/chromium'

/** The code that the README gives to pages. */
const [, SNIPPET = ''] =
  /```js\n(function open\(\)[\s\S]*?)```/.exec(
    readFileSync(new URL('../../../../README.md', import.meta.url), 'utf8'),
  ) ?? []

describe('a page in a browser, with the code of the README', { skip }, () => {
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
    browser = await chromium.launch({ executablePath: BROWSER!, args: ['--no-sandbox', '--disable-gpu'] })
    atEnd(suite, () => browser.close())
    page = await browser.newPage()
  })

  const text = () => page.evaluate('document.body.innerText') as Promise<string>
  /** Publishes until the page shows it: nobody tells when it is back. */
  const showsEventually = async (topic: string, value: string) => {
    await eventually(async () => {
      await agent.publish(liveChannel(topic), JSON.stringify({ value }))
      return (await text()).includes(`${topic}=${value};`)
    }, `the page to show ${value}`)
  }

  it('subscribes, is cut by a restart of the gateway, comes back, and shows what it should', async () => {
    assert.ok(SNIPPET.includes('/live'))
    let gateway = await start()
    await page.goto(`${gateway.http}/version`)
    await page.evaluate(`
      document.body.innerText = ''
      globalThis.show = (topic, data) => { document.body.innerText += topic + '=' + data.value + ';' }
      ${SNIPPET.replace('127.0.0.1:8080', `127.0.0.1:${port}`)}`)
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

  it('sees why it may not enter', async () => {
    await killCommands()
    await start({ WS_AUTH_REQUIRED: 'true', WS_AUTH_TOKEN: 'a-token', WS_ALLOWED_ORIGINS: `http://127.0.0.1:${port}` })
    const closeOf = (protocols: string[]) =>
      page.evaluate(`new Promise((resolve) => {
        const socket = new WebSocket('ws://127.0.0.1:${port}/live', ${JSON.stringify(protocols)})
        socket.onmessage = () => { resolve('entered'); socket.close() }
        socket.onclose = ({ code }) => resolve(code)
      })`)
    assert.equal(await closeOf([]), 4401)
    assert.equal(await closeOf(['wsproxy.v1', 'bearer.bm8']), 4401)
    assert.equal(await closeOf(['wsproxy.v1', `bearer.${Buffer.from('a-token').toString('base64url')}`]), 'entered')
    await page.goto(`http://localhost:${port}/version`)
    assert.equal(await closeOf([]), 4403)
  })
})
