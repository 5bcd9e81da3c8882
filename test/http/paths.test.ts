import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { startBrowser, withoutBrowser } from '../support/browser.ts'
import { connect, refused } from '../support/client.ts'
import { assertProblem } from '../support/config.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { RawSocket } from '../support/raw.ts'
import { atEnd, scopeOf } from '../support/scope.ts'
import { eventually, within } from '../support/wait.ts'

const messageOf = async (response: Response): Promise<string> =>
  ((await response.json()) as { error: { message: string } }).error.message

describe('the paths beside the doors', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite)
  })
  const get = (path: string, init?: RequestInit) => fetch(gateway.http + path, init)

  it('/livez answers while the process lives, /readyz as /ready', async () => {
    const alive = await get('/livez')
    assert.equal(alive.status, 200)
    assert.deepEqual(await alive.json(), { status: 'alive' })
    assert.equal(await (await get('/readyz')).text(), await (await get('/ready')).text())
  })

  it('/ is a page with snippets for the address that the browser has used', async () => {
    const raw = await RawSocket.open(gateway.http)
    raw.write('GET / HTTP/1.1\r\nHost: ws.example.org:8443\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n\r\n')
    assert.equal(await raw.status(), 200)
    await eventually(() => raw.text.includes('</html>'), 'the page')
    assert.match(raw.text, /wss:\/\/ws\.example\.org:8443\/agent-1\/ws\/demo/)
    assert.match(raw.text, /Content-Security-Policy: default-src 'none'/)
  })

  it('the snippet of / opens a session in the console of that page', { skip: withoutBrowser }, async () => {
    const browser = await startBrowser()
    atEnd(suite, () => browser.close())
    const page = await browser.newPage()
    await page.goto(gateway.http)
    await gateway.agent.set('session:demo:auth', 'TOKEN')
    const [snippet] = (await page.locator('pre').allInnerTexts()) as [string]
    const outcome = page.evaluate(`{${snippet}
      new Promise((resolve) => { socket.onopen = () => resolve('open'); socket.onerror = () => resolve('error') })}`)
    assert.equal(await within(outcome, 'the socket of the page'), 'open')
  })

  it('/ shows no Host that could be markup', async () => {
    const raw = await RawSocket.open(gateway.http)
    raw.write('GET / HTTP/1.1\r\nHost: a"><script>x</script>\r\n\r\n')
    await eventually(() => raw.text.includes('</html>'), 'the page')
    assert.doesNotMatch(raw.text, /<script>/)
  })

  for (const [path, meant] of [
    ['/healthz', '/health'],
    ['/heath', '/health'],
    ['/helth/', '/health'],
    ['/redy', '/ready'],
    ['/metrcs', '/metrics'],
    ['/Metric', '/metrics'],
    ['/vesion', '/version'],
    ['/status', '/health'],
    ['/monitoring', '/admin/monitoring'],
  ] as const) {
    it(`${path} answers 404 and names ${meant}`, async () => {
      const response = await get(path)
      assert.equal(response.status, 404)
      assert.equal(await messageOf(response), `No such path. Did you mean ${meant}?`)
    })
  }

  it('/favicon.ico answers 404, and the path of a run asks for an upgrade', async () => {
    assert.equal((await get('/favicon.ico')).status, 404)
    assert.equal((await get('/decimal-pleasing')).status, 426)
    assert.equal((await get('/live')).status, 426)
  })

  it('an upgrade on such a path is that of a run', async () => {
    const client = await connect(`${gateway.url}/healthz`)
    await client.find({ type: 'preflight' })
    await client.close()
  })

  it('an upgrade on an unknown path is counted and logged with its path', async () => {
    const { status } = await refused(`${gateway.url}/a/b/c/d?access_token=hunter2`)
    assert.equal(status, 404)
    assert.equal(await gateway.metric('wsproxy_connections_total', { door: 'none', result: 'not-found' }), 1)
    const line = gateway.log.find(
      ({ event, conn }) => event === 'refused' && (conn as { door: string }).door === 'none',
    )
    assert.equal((line!.conn as { path: string }).path, '/a/b/c/d')
    assert.doesNotMatch(JSON.stringify(gateway.log), /hunter2/)
  })

  it('/socket.io/ says what this is, to a poll and to an upgrade', async () => {
    for (const path of ['/socket.io/?EIO=4&transport=polling', '/socket.io', '/socket.io/1/'])
      assert.match(await messageOf(await get(path)), /not Socket\.IO/)
    for (const path of ['/socket.io/?EIO=4&transport=websocket', '/socket.io'])
      assert.match((await refused(gateway.url + path)).message, /not Socket\.IO/)
  })
})

describe('settings of paths', () => {
  const suite = scopeOf(after)

  it('LANDING_PAGE=false answers 404 at /', async () => {
    const { http } = await gatewayFor(suite, { env: { LANDING_PAGE: 'false' } })
    assert.equal((await fetch(`${http}/`)).status, 404)
  })

  it('RUN_DOOR=false leaves no path of a run, no checklist on the page and no warning about Redis', async () => {
    const { http, url, log } = await gatewayFor(suite, { env: { RUN_DOOR: 'false' } })
    assert.equal((await refused(`${url}/some-run`)).status, 404)
    assert.doesNotMatch(await (await fetch(`${http}/`)).text(), /A run/)
    assert.equal(log.filter(({ event }) => event === 'keyspace-events').length, 0)
  })

  it('RUN_PATH moves the run door, whose ids may then be any word', async () => {
    const { http, url, agent } = await gatewayFor(suite, { env: { RUN_PATH: '/runs/' } })
    await agent.hSet('health', 'timestamps:build_channels', '1')
    const client = await connect(`${url}/runs/health`)
    const { checklist } = await client.find({ type: 'preflight' })
    assert.equal((checklist as { channels: boolean }).channels, true)
    await client.close()
    assert.equal((await refused(`${url}/some-run`)).status, 404)
    assert.equal((await fetch(`${http}/runs/some-run`)).status, 426)
    assert.match(await (await fetch(`${http}/`)).text(), /\/runs\/run-1/)
  })

  it("RUN_PATH is one segment that is not the gateway's", () => {
    for (const path of ['runs/', '/runs', '/a/b/', '/live/', '/:x/', '/*/', ''])
      if (path !== '') assertProblem({ RUN_PATH: path }, /^RUN_PATH: .*\/runs\//)
  })
})
