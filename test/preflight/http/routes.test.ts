import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { after, before, describe, it } from 'node:test'
import { eventsConfig, preflightReports } from '../../../src/contract/names.ts'
import type { Report } from '../../../src/preflight/check.ts'
import { gatewayFor, type TestGateway } from '../../support/gateway.ts'
import { checkFolderFor, checkSource, resultOf } from '../../support/preflight.ts'
import { type Client as RedisUser, realRedisFor, withoutRealRedis } from '../../support/redis.ts'
import { scopeOf } from '../../support/scope.ts'
import { eventually } from '../../support/wait.ts'

const TOKEN = 'a-token-of-24-characters'
const ADMIN = { Authorization: `Bearer ${TOKEN}` }
/** A low MAX_CONNECTIONS, so that the open-files limit of the machine causes no failure. */
const ENV = { ADMIN_TOKEN: TOKEN, MAX_CONNECTIONS: '100', PREFLIGHT_EVENT_TYPES: 'launch.mail, launch.sms' }

interface Answered {
  readonly status: number
  readonly headers: Headers
  readonly body: Record<string, unknown> & { error: { code: string; message: string; field?: string } }
}

describe('the API of preflight checks', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  let agent: RedisUser
  before(async () => {
    const folder = checkFolderFor(suite)
    folder.add(
      'crm.js',
      checkSource('crm', "return { status: 'pass', message: 'the CRM answers' }", 5, "['launch.sms']"),
    )
    const counted = 'globalThis.preflightWork = (globalThis.preflightWork ?? 0) + 1; await globalThis.preflightHold'
    folder.add(
      'work.js',
      checkSource('work', `${counted}; return { status: 'pass', message: '' }`, 20, "['launch.work']"),
    )
    gateway = await gatewayFor(suite, { env: { ...ENV, PREFLIGHT_CHECKS_FOLDER: folder.path } })
    agent = gateway.agent
  })

  async function ask(path: string, init: RequestInit = {}): Promise<Answered> {
    const response = await fetch(`${gateway.http}${path}`, { ...init, headers: { ...ADMIN, ...init.headers } })
    return { status: response.status, headers: response.headers, body: JSON.parse((await response.text()) || '{}') }
  }
  const run = (body: unknown) =>
    ask('/api/preflight/run', { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) })
  const recorded = (id: unknown) =>
    eventually(async () => (await ask(`/api/preflight/reports/${id}`)).status === 200, 'the record')

  it('a run executes all checks in full mode, also those of another folder, and answers 200 with the report', async () => {
    const { status, body } = await run({ eventType: 'launch.sms', campaignId: 'c1', triggeredBy: 'test' })
    const report = body as unknown as Report
    assert.equal(status, 200, JSON.stringify(report))
    assert.equal(resultOf(report, 'crm').message, 'the CRM answers')
    // On a busy machine Redis may be slow to answer, which is a warning.
    assert.match(resultOf(report, 'redis').message, /^Redis answers\b/)
    for (const name of ['redis-pubsub', 'websocket', 'token-store', 'cooldown', 'event-enabled', 'capacity'])
      assert.equal(resultOf(report, name).status, 'pass', name)
    assert.deepEqual([report.healthy, report.mode, report.triggeredBy], [true, 'full', 'test'])
    await recorded(report.id)
    assert.deepEqual((await ask(`/api/preflight/reports/${report.id}`)).body, report)
  })

  it('a run with a failing check answers 412 with the report, in light mode 200', async () => {
    const body = { sessionId: 'nobody' }
    const full = await run(body)
    assert.equal(full.status, 412)
    assert.equal(full.body.healthy, false)
    assert.equal(resultOf(full.body as unknown as Report, 'session-token').status, 'fail')
    assert.equal(resultOf(full.body as unknown as Report, 'capacity').status, 'pass', 'later checks run all the same')
    const light = await run({ ...body, mode: 'light' })
    assert.equal(light.status, 200)
    assert.equal(light.body.healthy, false)
    await recorded(light.body.id)
  })

  it('a run fails for an event that is switched off', async () => {
    await agent.hSet(eventsConfig(), 'launch.mail', 'false')
    const { status, body } = await run({ eventType: 'launch.mail' })
    assert.equal(status, 412)
    assert.match(
      resultOf(body as unknown as Report, 'event-enabled').remediation!,
      /HSET events:config launch\.mail true/,
    )
  })

  it('a run without a body is full and has no event type', async () => {
    const { status, body } = await ask('/api/preflight/run', { method: 'POST' })
    assert.deepEqual([status, body.mode, body.eventType, body.triggeredBy], [200, 'full', 'none', 'api'])
  })

  it('a hundred equal requests at the same time share one run', async () => {
    const before = await agent.xLen(preflightReports())
    const shared = globalThis as { preflightWork?: number; preflightHold?: Promise<void> }
    let release = () => {}
    shared.preflightHold = new Promise((resolve) => {
      release = resolve
    })
    let sent = 0
    const count = () => sent++
    subscribe('undici:request:bodySent', count)
    const asked = Array.from({ length: 100 }, () => run({ eventType: 'launch.work', userId: 'u' }))
    await eventually(() => sent === 100, 'all requests to be sent')
    unsubscribe('undici:request:bodySent', count)
    // Their bytes are in the kernel already: the gateway reads them before it answers later
    // requests.
    for (let i = 0; i < 2; i++) await fetch(`${gateway.http}/version`)
    release()
    const answers = await Promise.all(asked)
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200])
    assert.equal(new Set(answers.map(({ body }) => body.id)).size, 1)
    assert.equal(shared.preflightWork, 1)
    await recorded(answers[0]!.body.id)
    assert.equal(await agent.xLen(preflightReports()), before + 1)
  })

  it('an invalid run request gets 400 with the field, and no check runs', async () => {
    const before = await gateway.metric('wsproxy_preflight_runs_total')
    for (const [body, field] of [
      ['{', undefined],
      ['[]', ''],
      ['null', ''],
      [{ mode: 'quick' }, 'mode'],
      [{ mode: 1 }, 'mode'],
      [{ eventType: 'A B' }, 'eventType'],
      [{ sessionId: 'a;b' }, 'sessionId'],
      [{ runId: 'a:b' }, 'runId'],
      [{ sessionId: '' }, 'sessionId'],
      [{ runId: '../x' }, 'runId'],
      [{ campaignId: 'x'.repeat(201) }, 'campaignId'],
      [{ userId: 7 }, 'userId'],
      [{ metadata: [] }, 'metadata'],
      [{ metadata: { a: 'x'.repeat(5000) } }, 'metadata'],
      [{ session_id: 's' }, 'session_id'],
      ['{"__proto__":{}}', '__proto__'],
    ] as const) {
      const { status, body: answer } = await run(body)
      assert.equal(status, 400, JSON.stringify(body))
      assert.equal(answer.error.code, 'bad-request')
      assert.equal(answer.error.field, field, JSON.stringify(body))
    }
    assert.equal(await gateway.metric('wsproxy_preflight_runs_total'), before)
  })

  it('a body that is too large gets 413', async () => {
    const { status, body } = await run({ metadata: { a: 'x'.repeat(20_000) } })
    assert.deepEqual([status, body.error.code], [413, 'body-too-large'])
  })

  it('every call without the right token is refused', async () => {
    for (const [path, method] of [
      ['/api/preflight/run', 'POST'],
      ['/api/preflight/reports', 'GET'],
      ['/api/preflight/reports/x', 'GET'],
      ['/api/preflight/stats', 'GET'],
      ['/admin/monitoring', 'GET'],
    ] as const) {
      const headers = { Accept: 'application/json' }
      const without = await ask(path, { method, headers: { ...headers, Authorization: '' } })
      assert.deepEqual([without.status, without.body.error.code], [401, 'admin-required'], path)
      const other = await ask(path, {
        method,
        headers: { ...headers, Authorization: 'Bearer another-token-altogether' },
      })
      assert.deepEqual([other.status, other.body.error.code], [403, 'admin-rejected'], path)
    }
  })

  it('reports are listed with filters, page by page', async () => {
    const { body } = await ask('/api/preflight/reports?limit=2')
    const [first, second] = body.reports as Report[]
    const rest = await ask(`/api/preflight/reports?limit=1&before=${body.next}`)
    const [third] = rest.body.reports as Report[]
    assert.equal(new Set([first!.id, second!.id, third!.id]).size, 3)
    const mail = await ask('/api/preflight/reports?event_type=launch.mail&healthy=false')
    assert.deepEqual(
      (mail.body.reports as Report[]).map(({ eventType }) => eventType),
      ['launch.mail'],
    )
    const none = await ask(`/api/preflight/reports?before=${new Date(0).toISOString()}`)
    assert.deepEqual(none.body, { reports: [] })
    assert.equal((await ask('/api/preflight/reports/0mwpw71zn-000000000000003d')).status, 404)
  })

  it('invalid parameters get 400 with the name of the parameter', async () => {
    for (const [query, field] of [
      ['reports?limit=0', 'limit'],
      ['reports?limit=201', 'limit'],
      ['reports?limit=x', 'limit'],
      ['reports?healthy=yes', 'healthy'],
      ['reports?before=yesterday', 'before'],
      ['reports?befor=1', 'befor'],
      ['stats?window=0', 'window'],
      ['stats?window=day', 'window'],
      ['stats?window=9999d', 'window'],
    ]) {
      const { status, body } = await ask(`/api/preflight/${query}`)
      assert.deepEqual([status, body.error.code, body.error.field], [400, 'bad-request', field], query)
    }
  })

  it('statistics and all content of the monitoring page are available as JSON', async () => {
    const { body } = await ask('/api/preflight/stats?window=1h')
    assert.equal(body.window, '1h')
    assert.ok(Number(body.totalRuns) >= 4)
    assert.ok((body.topFailures as { check: string }[]).some(({ check }) => check === 'session-token'))
    const page = await ask('/admin/monitoring', { headers: { Accept: 'application/json' } })
    assert.deepEqual(Object.keys(page.body).sort(), ['recentReports', 'stats', 'topFailures'])
    assert.ok(Number((page.body.stats as Record<string, unknown>).totalRuns) >= 4)
  })

  it('metrics count runs, durations and failures; an unconfigured event type counts as other', async () => {
    const runs = (labels: Record<string, string>) => gateway.metric('wsproxy_preflight_runs_total', labels)
    // On a busy machine Redis may have been slow to answer, which is a warning.
    const fit = async (labels: Record<string, string>) =>
      (await runs({ ...labels, result: 'pass' })) + (await runs({ ...labels, result: 'warn' }))
    assert.ok((await fit({ mode: 'full', event_type: 'launch.sms' })) >= 1)
    assert.ok((await runs({ mode: 'full', event_type: 'launch.mail', result: 'fail' })) >= 1)
    assert.equal(await runs({ event_type: 'launch.work' }), 0)
    assert.ok((await fit({ event_type: 'other' })) >= 1)
    assert.ok((await gateway.metric('wsproxy_preflight_failures_total', { check: 'session-token' })) >= 2)
    assert.ok((await gateway.metric('wsproxy_preflight_check_duration_seconds_count', { check: 'redis' })) >= 4)
    assert.equal(await gateway.metric('wsproxy_preflight_unrecorded_total'), 0)
  })

  it('the upgrade of a check is neither counted nor logged as a connection', async () => {
    assert.equal(await gateway.metric('wsproxy_connections_total'), 0)
    assert.ok(!gateway.log.some(({ event }) => event === 'accepted'))
  })

  it('the page is public, with a policy that allows inline code by hash only', async () => {
    const response = await fetch(`${gateway.http}/admin/monitoring`)
    assert.equal(response.headers.get('content-type'), 'text/html; charset=utf-8')
    const policy = response.headers.get('content-security-policy')!
    assert.match(
      policy,
      /default-src 'none'; script-src 'sha256-[\w+/]{43}='; style-src 'sha256-[\w+/]{43}='; connect-src 'self'/,
    )
    assert.doesNotMatch(policy, /unsafe/)
    const html = await response.text()
    assert.doesNotMatch(html, /(src|href)=["']?(https?:)?\/\//)
    assert.doesNotMatch(html, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\bon\w+=|style=/)
  })

  it('sign-in sets a cookie that scripts cannot read and other sites cannot send', async () => {
    const signIn = (body: unknown, headers = {}) =>
      fetch(`${gateway.http}/admin/sign-in`, { method: 'POST', body: JSON.stringify(body), headers })
    const response = await signIn({ token: TOKEN })
    const cookie = response.headers.get('set-cookie')!
    assert.match(cookie, /^wsproxy_admin=[^;]+; HttpOnly; SameSite=Strict; Path=\/; Max-Age=\d+$/)
    assert.ok(!cookie.includes(TOKEN))
    const headers = { Cookie: cookie.split(';')[0]!, Authorization: '' }
    assert.equal((await ask('/api/preflight/stats', { headers })).status, 200)
    // A page of another origin can only post like this, and the browser may add the cookie.
    const plain = { method: 'POST', body: '{}', headers: { Cookie: headers.Cookie, 'Content-Type': 'text/plain' } }
    // A browser also adds the password that a proxy in front has asked for.
    const behindProxy = { ...plain, headers: { ...plain.headers, Authorization: 'Basic dTpw' } }
    for (const path of ['/api/preflight/run', '/admin/sign-out'])
      for (const call of [plain, behindProxy]) {
        const forged = await fetch(`${gateway.http}${path}`, call)
        assert.equal(forged.status, 400)
        assert.equal(forged.headers.get('set-cookie'), null)
      }
    for (const header of [{ 'X-Forwarded-Proto': 'HTTPS, http' }, { Origin: 'https://console.example.org' }])
      assert.match((await signIn({ token: TOKEN }, header)).headers.get('set-cookie')!, /; Secure$/)
    assert.match(
      (await signIn({ token: TOKEN }, { 'X-Forwarded-Proto': 'https' })).headers.get('set-cookie')!,
      /; Secure$/,
    )
    const json = { 'Content-Type': 'application/json' }
    const out = await fetch(`${gateway.http}/admin/sign-out`, { method: 'POST', headers: json })
    assert.match(out.headers.get('set-cookie')!, /^wsproxy_admin=; .*Max-Age=0/)
    for (const [body, status] of [
      [{ token: 'another-token-altogether' }, 403],
      [{ token: 1 }, 400],
      [{}, 400],
      [null, 400],
    ] as const) {
      const refused = await signIn(body)
      assert.equal(refused.status, status)
      assert.equal(refused.headers.get('set-cookie'), null)
    }
  })
})

describe('preflight without ADMIN_TOKEN', () => {
  it('without ADMIN_TOKEN, admin calls and sign-ins are refused and /ready works', async (t) => {
    const gateway = await gatewayFor(t)
    for (const [path, init] of [
      ['/api/preflight/run', { method: 'POST' }],
      ['/admin/sign-in', { method: 'POST', body: '{"token":"undefined"}' }],
      ['/api/preflight/stats', {}],
    ] as const) {
      const response = await fetch(`${gateway.http}${path}`, init)
      assert.equal(response.status, 403, path)
      assert.equal(((await response.json()) as Answered['body']).error.code, 'admin-disabled')
    }
    assert.equal((await fetch(`${gateway.http}/ready`)).status, 200)
  })
})

describe('a Redis that dies in the middle of a run', { skip: withoutRealRedis }, () => {
  it('a run whose Redis dies ends with a report, which is stored when Redis is back', async (t) => {
    const folder = checkFolderFor(t)
    const wait = `await new Promise((done) => { globalThis.preflightGoOn = done }); return { status: 'pass', message: '' }`
    folder.add('wait.js', checkSource('wait', wait, 7))
    const redis = await realRedisFor(t)
    const env = { ...ENV, PREFLIGHT_CHECKS_FOLDER: folder.path, PREFLIGHT_CHECK_TIMEOUT: '2s' }
    const gateway = await gatewayFor(t, { env, redis })
    const shared = globalThis as { preflightGoOn?: () => void }
    const answer = fetch(`${gateway.http}/api/preflight/run`, { method: 'POST', headers: ADMIN })
    await eventually(() => shared.preflightGoOn, 'the middle of the run')
    await redis.kill()
    await eventually(async () => (await fetch(`${gateway.http}/ready`)).status === 503, 'the loss')
    shared.preflightGoOn!()
    const response = await answer
    assert.equal(response.status, 412)
    const report = (await response.json()) as Report
    assert.equal(resultOf(report, 'token-store').status, 'fail')
    const away = await fetch(`${gateway.http}/api/preflight/reports`, { headers: ADMIN })
    assert.deepEqual([away.status, ((await away.json()) as Answered['body']).error.code], [503, 'redis-unavailable'])
    await redis.restart()
    const recorded = async () => {
      const found = await fetch(`${gateway.http}/api/preflight/reports/${report.id}`, { headers: ADMIN })
      return found.status === 200 && ((await found.json()) as Report)
    }
    assert.deepEqual(await eventually(recorded, 'the record'), report)
    assert.equal(await gateway.metric('wsproxy_preflight_unrecorded_total'), 0)
  })
})
