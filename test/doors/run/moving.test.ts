import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { startBrowser, withoutBrowser } from '../../support/browser.ts'
import { connect } from '../../support/client.ts'
import { gatewayFor, type TestGateway } from '../../support/gateway.ts'
import { PING, watchRun } from '../../support/runs.ts'
import { atEnd, scopeOf } from '../../support/scope.ts'
import { eventually, within } from '../../support/wait.ts'

/** The intervals of 5 s and 65 s, fifty times shorter. */
const SHORTENED = { RUN_PING_INTERVAL: '100ms', RUN_PONG_TIMEOUT: '1300ms' }

describe('the run door for pages of an older gateway', { concurrency: true }, () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite)
  })

  /** The close of one client after the other that never answers: ten times RUN_PONG_TIMEOUT. */
  async function tenTimeouts(shortened: TestGateway): Promise<(number | undefined)[]> {
    const codes: (number | undefined)[] = []
    for (let i = 0; i < 10; i++)
      codes.push((await within((await watchRun(shortened, 'a-run')).closed, 'the close')).code)
    return codes
  }
  const ALL_SILENT = Array.from({ length: 10 }, () => 4408)

  it('a page on a run stays for ten minutes, in which silent ones are closed with 4408', async (t) => {
    const shortened = await gatewayFor(t, { env: SHORTENED })
    const page = await watchRun(shortened, 'a-run')
    page.socket.on('message', (data) => {
      if (String(data) === PING) page.send({ type: 'pong' })
    })
    assert.deepEqual(await tenTimeouts(shortened), ALL_SILENT)
    assert.equal(page.code, undefined)
    await shortened.agent.hSet('a-run', 'timestamps:build_channels', '1')
    await eventually(() => page.frames.some((frame) => String(frame).includes('"channels":true')), 'the change')
    await page.close()
  })

  it('a page in a browser stays for ten minutes', { skip: withoutBrowser }, async (t) => {
    const shortened = await gatewayFor(t, { env: SHORTENED })
    const browser = await startBrowser()
    atEnd(t, () => browser.close())
    const tab = await browser.newPage()
    await tab.goto(`${shortened.http}/health`)
    // A string: this file is compiled without the types of a browser.
    await tab.evaluate(`{
      const socket = new WebSocket('${shortened.url}/a-run')
      socket.onopen = () => socket.send('{"type":"init"}')
      socket.onclose = ({ code }) => (document.title = 'closed with ' + code)
      socket.onmessage = ({ data }) => {
        if (JSON.parse(data).type === 'ping') socket.send('{"type":"pong"}')
        else document.title = 'open'
      }
    }`)
    await eventually(async () => (await tab.title()) === 'open', 'the page to connect')
    assert.deepEqual(await tenTimeouts(shortened), ALL_SILENT)
    assert.equal(await tab.title(), 'open')
  })

  it('the first ping comes within 5 s by default', async () => {
    const client = await watchRun(gateway, 'first-ping')
    const openedAt = performance.now()
    await client.find({ type: 'ping' })
    assert.ok(performance.now() - openedAt < 6000)
    await client.close()
  })

  it('a percent-encoded id is decoded once, and one slash at the end is ignored', async () => {
    await gateway.agent.hSet('profile;;fork', 'timestamps:build_channels', '1')
    for (const path of ['/profile%3B%3Bfork', '/profile;;fork', '/profile;;fork/']) {
      const client = await connect(gateway.url + path)
      const { checklist } = await client.find({ type: 'preflight' })
      assert.equal((checklist as { channels: boolean }).channels, true, path)
      await client.close()
    }
  })

  it('POST /health answers as GET', async () => {
    const [byGet, byPost] = await Promise.all(
      ['GET', 'POST'].map(async (method) => {
        const response = await fetch(`${gateway.http}/health`, { method })
        const { status, ws_contract_version } = (await response.json()) as Record<string, unknown>
        return [response.status, status, ws_contract_version]
      }),
    )
    assert.deepEqual(byPost, byGet)
    assert.deepEqual(byGet!.slice(0, 2), [200, 'healthy'])
  })
})
