import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import type { Report } from '../../../src/preflight/check.ts'
import { Reports } from '../../../src/preflight/reports/reports.ts'
import { startBrowser, withoutBrowser } from '../../support/browser.ts'
import { gatewayFor, type TestGateway } from '../../support/gateway.ts'
import { openLink, type TestLink } from '../../support/link.ts'
import { newReport } from '../../support/preflight.ts'
import { atEnd, scopeOf } from '../../support/scope.ts'
import { eventually } from '../../support/wait.ts'

const TOKEN = 'a-token-of-24-characters'
const MARKUP = '<script>document.title = "owned"</script><img src=x onerror="document.title = \'owned\'">'
const LONG = `${'a line without an end '.repeat(120)}${'x'.repeat(2500)}`

const bad = (): Report =>
  newReport({
    eventType: 'launch.mail',
    sessionId: 'session-1',
    userId: MARKUP,
    healthy: false,
    checks: [
      { name: 'redis', status: 'pass', message: 'Redis answers in 0.3 ms', durationMs: 0.4 },
      {
        name: 'token-store',
        status: 'fail',
        message: MARKUP,
        details: { [MARKUP]: MARKUP },
        remediation: MARKUP,
        durationMs: 2,
      },
      { name: 'keyspace-events', status: 'warn', message: LONG, remediation: LONG, durationMs: 2 },
      { name: 'capacity', status: 'skipped', message: 'not run, because token-store failed', durationMs: 0 },
    ],
  })

describe('the monitoring page', { skip: withoutBrowser }, () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  let browser: Browser
  let own: TestLink
  let reports: Reports
  before(async () => {
    gateway = await gatewayFor(suite, { env: { ADMIN_TOKEN: TOKEN } })
    own = await openLink(gateway.redis.url)
    atEnd(suite, () => own.close())
    reports = new Reports((args) => own.link.client.sendCommand(args), 86_400_000)
    for (let i = 0; i < 60; i++) {
      const createdAt = new Date(Date.now() - (60 - i) * 20 * 60_000).toISOString()
      await reports.add(newReport({ createdAt, hasWarnings: i % 9 === 0 }), Date.now())
    }
    await reports.add(bad(), Date.now())
    browser = await startBrowser()
    atEnd(suite, () => browser.close())
  })

  interface Opened {
    readonly page: Page
    readonly faults: string[]
    readonly requests: string[]
    close(): Promise<void>
  }

  async function open(options: Parameters<Browser['newContext']>[0] = {}, of = gateway): Promise<Opened> {
    const context = await browser.newContext({ viewport: { width: 1100, height: 900 }, ...options })
    const page = await context.newPage()
    const faults: string[] = []
    const requests: string[] = []
    page.on('pageerror', (error) => faults.push(error.message))
    // A refused sign-in is a 401 or 403 by design, which the browser logs, too.
    page.on(
      'console',
      (line) => line.type() === 'error' && !/status of 40[13]/.test(line.text()) && faults.push(line.text()),
    )
    page.on('request', (request) => requests.push(request.url()))
    await page.goto(`${of.http}/admin/monitoring`)
    return { page, faults, requests, close: () => context.close() }
  }

  async function signIn(page: Page, token = TOKEN): Promise<void> {
    await page.getByLabel('Admin token').fill(token)
    await page.keyboard.press('Enter')
  }

  async function signedIn(options?: Parameters<Browser['newContext']>[0]): Promise<Opened> {
    const opened = await open(options)
    await signIn(opened.page)
    await opened.page.locator('#reports details').first().waitFor()
    return opened
  }

  /** Pixels by which the page is wider than the window. */
  const overflow = (page: Page) =>
    page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth') as Promise<number>

  it('the page shows nothing before the sign-in, refuses a wrong token, and keeps the token out of addresses', async () => {
    const { page, requests, close } = await open()
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    assert.equal(await page.locator('#content').isVisible(), false)
    await signIn(page, 'another-token-altogether')
    await page.getByText('The admin token is wrong.').waitFor()
    await signIn(page)
    await page.getByRole('heading', { name: 'The last 24 hours' }).waitFor()
    assert.equal(await page.locator('#entrance').isVisible(), false)
    await page.reload()
    await page.getByRole('heading', { name: 'The last 24 hours' }).waitFor()
    for (const url of requests) assert.ok(url.startsWith(gateway.http) && !url.includes(TOKEN), url)
    assert.equal(await page.evaluate('document.cookie'), '', 'the cookie is out of reach of scripts')
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    assert.equal(await page.locator('#reports details').count(), 0)
    await page.reload()
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    await close()
  })

  it('the page shows figures, a chart of the day, the most frequent failures and the last fifty reports', async () => {
    const { page, faults, close } = await signedIn()
    assert.match(String(await page.locator('#figures').textContent()), /Runs61Success98\.4 %/)
    assert.match(
      String(await page.locator('#chart title').first().textContent()),
      /^53 runs passed, 7 with warnings, 1 failed/,
    )
    assert.ok((await page.locator('#chart rect').count()) >= 20)
    assert.match(String(await page.locator('#failures').textContent()), /token-store11\.6 %/)
    assert.equal(await page.locator('#reports details').count(), 50)
    assert.match(
      String(await page.locator('#reports summary').first().textContent()),
      /Failed.*launch\.mail: token-store, keyspace-events/s,
    )
    assert.deepEqual(faults, [])
    await close()
  })

  it('the page names the four most frequent event types only', async () => {
    const many = await gatewayFor(suite, { env: { ADMIN_TOKEN: TOKEN } })
    const link = await openLink(many.redis.url)
    atEnd(suite, () => link.close())
    const store = new Reports((args) => link.link.client.sendCommand(args), 86_400_000)
    for (let i = 1; i <= 7; i++) {
      for (let n = i; n <= 7; n++) await store.add(newReport({ eventType: `type-${i}` }), Date.now())
    }
    const { page, close } = await open({}, many)
    await signIn(page)
    await page.getByRole('heading', { name: 'The last 24 hours' }).waitFor()
    const types = page.locator('#figures dd.small')
    assert.equal(await types.textContent(), 'type-1 7, type-2 6, type-3 5, type-4 4, and others')
    await close()
  })

  it('the page without ADMIN_TOKEN names the setting and asks for no token', async () => {
    const { page, close } = await open({}, await gatewayFor(suite, {}))
    await page.getByText('start the gateway with ADMIN_TOKEN').waitFor()
    assert.equal(await page.locator('#token').isVisible(), false)
    assert.equal(await page.locator('#sign-in button').isVisible(), false)
    await close()
  })

  it('the page shows markup in reports as text', async () => {
    const { page, faults, close } = await signedIn()
    const first = page.locator('#reports details').first()
    await first.locator('summary').click()
    assert.ok(String(await first.textContent()).includes(MARKUP))
    assert.equal(await first.locator('script, img').count(), 0)
    assert.equal(await page.title(), 'Preflight - wsproxy')
    assert.deepEqual(faults, [])
    await close()
  })

  it('the policy of the page forbids an injected script', async () => {
    const { page, faults, close } = await open()
    await page.evaluate(
      `(() => { const s = document.createElement('script'); s.textContent = 'document.title = "owned"'; document.body.append(s) })()`,
    )
    assert.equal(await page.title(), 'Preflight - wsproxy')
    assert.ok(
      faults.some((fault) => /Content Security Policy/.test(fault)),
      faults.join(),
    )
    await close()
  })

  it('the page works with the keyboard alone and keeps focus and unfolded reports across a refresh', async () => {
    const { page, close } = await signedIn()
    const first = page.locator('#reports details').first()
    await first.locator('summary').focus()
    await page.keyboard.press('Enter')
    assert.ok(await first.getByText('not run, because token-store failed').isVisible())
    await reports.add(newReport({ triggeredBy: 'while-open' }), Date.now())
    await page.evaluate(`document.getElementById('refresh').click()`)
    await page.getByText('while-open').waitFor({ state: 'attached' })
    const second = page.locator('#reports details').nth(1)
    assert.equal(await second.getAttribute('open'), '')
    assert.equal(
      await page.evaluate(
        `document.activeElement.closest('details') === document.querySelectorAll('#reports details')[1]`,
      ),
      true,
    )
    await close()
  })

  it('the page refreshes every 30 s while it is visible, and reports a failed refresh', async () => {
    const context = await browser.newContext()
    const page = await context.newPage()
    await page.clock.install()
    await page.goto(`${gateway.http}/admin/monitoring`)
    await signIn(page)
    await page.locator('#reports details').first().waitFor()
    let asked = 0
    page.on('request', () => asked++)
    await page.clock.runFor(31_000)
    await eventually(() => asked === 1, 'a refresh')
    await page.evaluate(`Object.defineProperty(document, 'hidden', { configurable: true, get: () => true })`)
    await page.clock.runFor(61_000)
    assert.equal(asked, 1, 'nobody looks')
    await page.evaluate(`Object.defineProperty(document, 'hidden', { configurable: true, get: () => false })`)
    await page.route('**/admin/monitoring', (route) => route.abort())
    await eventually(async () => {
      await page.clock.runFor(31_000)
      return page.getByText('Not refreshed').isVisible()
    }, 'the page to say so')
    assert.ok(await page.locator('#content').isVisible(), 'what is known stays')
    await context.close()
  })

  for (const [name, options] of [
    ['in the light', {}],
    ['in the dark', { colorScheme: 'dark' }],
    ['on a phone', { viewport: { width: 360, height: 740 } }],
  ] as const) {
    it(`the page fits ${name}, also with a line of 5,000 characters`, async () => {
      const { page, faults, close } = await signedIn(options)
      await page.locator('#reports summary', { hasText: 'launch.mail' }).first().click()
      assert.ok(await page.getByText('not run, because token-store failed').isVisible())
      assert.ok((await overflow(page)) <= 0)
      const ground = await page.evaluate('getComputedStyle(document.body).backgroundColor')
      assert.equal(ground, name === 'in the dark' ? 'rgb(18, 22, 28)' : 'rgb(246, 247, 249)')
      assert.deepEqual(faults, [])
      await close()
    })
  }
})
