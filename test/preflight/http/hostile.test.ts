import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { preflightCounts, preflightReports } from '../../../src/contract/names.ts'
import { HOUR_MS } from '../../../src/preflight/reports/counts.ts'
import { startBrowser, withoutBrowser } from '../../support/browser.ts'
import { gatewayFor, type TestGateway } from '../../support/gateway.ts'
import { newReport } from '../../support/preflight.ts'
import { atEnd, scopeOf } from '../../support/scope.ts'
import { eventually } from '../../support/wait.ts'

const TOKEN = 'a-token-of-24-characters'
const OWNED = "document.title = 'owned'"
const TITLE = 'Preflight - wsproxy'

/** What a program on the same Redis may write where a text belongs. */
const TEXTS: Readonly<Record<string, string>> = {
  markup: `"'><script>${OWNED}</script><img src=x onerror="${OWNED}"><svg onload="${OWNED}">`,
  'an end of the script': `</script><script>${OWNED}</script><!--<title>owned</title>`,
  'an end of the page': `</div></section></main></body></html><style>*{display:none}</style>`,
  'an address that runs': `javascript:${OWNED}`,
  'a template': `\${${OWNED}} {{constructor.constructor("${OWNED}")()}}`,
  'a name of the prototype': '__proto__',
  'control characters': 'a\u0000b\u001b[2Jc\r\nd\u2028e\u0085f',
  'the other direction': '\u202egnidaer\u202d \u2066x',
  'half of a pair': 'x\ud800y',
  '5,000 characters without a space': 'W'.repeat(5000),
  'marks above marks': `z${'\u0300'.repeat(500)}`,
  '300 lines': 'line\n'.repeat(300),
  nothing: '',
}

/** And where it expects something of another type. */
const VALUES: readonly unknown[] = [
  null,
  true,
  -1,
  1e308,
  [],
  {},
  [[['x']]],
  { toString: 'x', valueOf: null },
  [null],
  TEXTS.markup,
]

const FIELDS = [
  ...['id', 'createdAt', 'mode', 'eventType', 'campaignId', 'agentId', 'sessionId', 'runId', 'userId', 'triggeredBy'],
  ...['streamerIds', 'metadata', 'healthy', 'hasWarnings', 'success', 'durationMs', 'checks'],
] as const
const CHECK_FIELDS = ['name', 'priority', 'status', 'message', 'details', 'remediation', 'durationMs'] as const
const SHOWN = 50

const check = { name: 'redis', priority: 0, status: 'fail', message: 'm', remediation: 'r', details: {}, durationMs: 1 }

/** A report whose texts, and names of details, are all this one. */
function full(text: string): object {
  const ids = ['campaignId', 'agentId', 'sessionId', 'runId', 'userId', 'triggeredBy', 'eventType', 'mode'] as const
  const checks = ['pass', 'warn', 'fail', 'skipped'].map((status) => ({
    ...check,
    ...{ name: text, status, message: text, remediation: text, details: { [text]: text } },
  }))
  return { ...newReport({}), ...Object.fromEntries(ids.map((id) => [id, text])), healthy: false, checks }
}

/** Reports in which one field is one of the values. */
function odd(): object[] {
  const reports = FIELDS.flatMap((field) => VALUES.map((value) => ({ ...newReport({}), [field]: value })))
  const checks = CHECK_FIELDS.flatMap((field) => VALUES.map((value) => ({ ...check, [field]: value })))
  return [...reports, ...checks.map((each) => ({ ...newReport({}), healthy: false, checks: [each] }))]
}

describe('hostile values in the stream and the counts of reports', { skip: withoutBrowser }, () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  let browser: Browser
  before(async () => {
    gateway = await gatewayFor(suite, { env: { ADMIN_TOKEN: TOKEN } })
    browser = await startBrowser()
    atEnd(suite, () => browser.close())
  })

  async function store(reports: readonly object[]): Promise<void> {
    await gateway.agent.del(preflightReports())
    for (const report of reports) {
      const fields = ['id', 'x', 'type', 'none', 'healthy', '1', 'report', JSON.stringify(report)]
      await gateway.agent.sendCommand(['XADD', preflightReports(), '*', ...fields])
    }
  }

  async function count(fields: Readonly<Record<string, string>>): Promise<void> {
    const key = preflightCounts('hour', Math.floor(Date.now() / HOUR_MS))
    await gateway.agent.del(key)
    await gateway.agent.hSet(key, fields)
  }

  async function open(width: number): Promise<{ page: Page; faults: string[]; close(): Promise<void> }> {
    const context = await browser.newContext({ viewport: { width, height: 800 } })
    const page = await context.newPage()
    const faults: string[] = []
    page.on('pageerror', (error) => faults.push(String(error)))
    page.on('dialog', (dialog) => void dialog.dismiss().then(() => faults.push('a dialog')))
    page.on(
      'console',
      (line) => line.type() === 'error' && !/status of 401/.test(line.text()) && faults.push(line.text()),
    )
    page.on('request', (request) => {
      const url = request.url()
      if (!url.startsWith(gateway.http) && !url.startsWith('data:')) faults.push(url)
    })
    await page.goto(`${gateway.http}/admin/monitoring`)
    await page.getByLabel('Admin token').fill(TOKEN)
    await page.keyboard.press('Enter')
    await page.locator('#reports details').first().waitFor()
    return { page, faults, close: () => context.close() }
  }

  /** What makes a page of these reports one that can still be read. */
  async function assertWhole({ page, faults }: { page: Page; faults: string[] }, what: string): Promise<void> {
    assert.deepEqual(faults, [], what)
    assert.equal(await page.title(), TITLE, what)
    assert.equal(await page.locator('#content script, #content img, #content style, #content a').count(), 0, what)
    const wider = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
    assert.ok(Number(wider) <= 0, `${what}: the page is ${wider} pixels wider than its window`)
    for (const id of ['refresh', 'leave', 'figures', 'reports'])
      assert.ok(await page.locator(`#${id}`).isVisible(), `${what}: #${id} is hidden`)
    assert.equal(await page.locator('#problem').textContent(), '', what)
  }

  async function unfoldAll(page: Page): Promise<void> {
    await page.evaluate(`for (const each of document.querySelectorAll('details')) each.open = true`)
  }

  for (const width of [1100, 360])
    it(`no text of a report runs, and none breaks a page ${width} pixels wide`, async () => {
      await count({ runs: '1', healthy: '0', 'type:none': '1' })
      await store(Object.values(TEXTS).map(full))
      const opened = await open(width)
      assert.equal(await opened.page.locator('#reports details').count(), Object.keys(TEXTS).length)
      await unfoldAll(opened.page)
      await assertWhole(opened, 'all texts')
      const shown = String(await opened.page.locator('#reports').textContent())
      for (const name of ['markup', 'an end of the script', 'an end of the page', 'an address that runs'])
        assert.ok(shown.includes(TEXTS[name]!), `${name} is shown as text`)
      await opened.close()
    })

  it('a report with a value of another type in any field leaves the others on the page', async () => {
    const opened = await open(1100)
    const reports = odd()
    const good = { ...newReport({}), triggeredBy: 'the-good-one' }
    for (let from = 0; from < reports.length; from += SHOWN - 1) {
      const some = reports.slice(from, from + SHOWN - 1)
      await store([...some, { ...good, sessionId: `batch-${from}` }])
      await opened.page.evaluate(`document.getElementById('refresh').click()`)
      await opened.page.getByText(`sessionId batch-${from} `).waitFor({ state: 'attached' })
      await unfoldAll(opened.page)
      await assertWhole(opened, `reports from ${from}, such as ${JSON.stringify(some[0]).slice(0, 300)}`)
    }
    await opened.close()
  })

  it('counts with hostile names and numbers leave the page whole', async () => {
    await store([newReport({})])
    const opened = await open(360)
    const numbers = ['-5', '1e308', 'Infinity', 'NaN', 'x', '', '9'.repeat(400), '0x10', TEXTS.markup!]
    for (const number of numbers)
      for (const text of [TEXTS.markup!, TEXTS['5,000 characters without a space']!, '__proto__']) {
        const names = ['type:', 'fail:', 'ran:', 'last:'].map((prefix) => [`${prefix}${text}`, number] as const)
        const sums = ['runs', 'healthy', 'warned', 'us'].map((name) => [name, number] as const)
        await count({ ...Object.fromEntries(sums), ...Object.fromEntries(names) })
        const answered = opened.page.waitForResponse((response) => response.url().endsWith('/admin/monitoring'))
        await opened.page.evaluate(`document.getElementById('refresh').click()`)
        await answered
        await eventually(async () => (await opened.page.locator('#figures dt').count()) > 0, 'the figures')
        await assertWhole(opened, `the number ${number.slice(0, 20)} with ${text.slice(0, 20)}`)
        const figures = String(await opened.page.locator('#figures, #chart, #failures').allTextContents())
        assert.doesNotMatch(
          figures,
          /NaN|null|undefined|Infinity|Invalid/,
          `${number.slice(0, 20)}: ${figures.slice(0, 300)}`,
        )
      }
    await opened.close()
  })
})
