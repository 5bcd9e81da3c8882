import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { freePort } from '../support/ports.ts'
import { redisFor, type TestRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'

const TOKEN = 'an-admin-token-of-a-test'
const ADMIN = { authorization: `Bearer ${TOKEN}` }
const DEPENDENCY = 'http://billing.internal.example:9999/v2/private'

describe('a stranger', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  before(async () => {
    redis = await redisFor(suite)
  })
  const start = (env: Record<string, string>) => gatewayFor(suite, { redis, env })
  const body = async ({ http }: TestGateway, path: string, headers: Record<string, string> = {}) =>
    (await fetch(`${http}${path}`, { headers })).text()

  it('reads the names of failed checks at /ready, and no address; an operator reads all', async () => {
    const dependencies = { PREFLIGHT_HTTP_DEPENDENCIES: DEPENDENCY }
    for (const env of [
      { ADMIN_TOKEN: TOKEN },
      { ADMIN_PORT: String(await freePort()) },
      { NODE_ENV: 'production', REDIS_URL: redis.url },
    ] as Record<string, string>[]) {
      const text = await body(await start({ ...dependencies, ...env }), '/ready')
      assert.ok(text.includes('http-dependencies') && !text.includes('internal.example'), text)
    }
    const gateway = await start({ ...dependencies, ADMIN_TOKEN: TOKEN })
    assert.ok((await body(gateway, '/ready', ADMIN)).includes('billing.internal.example'))
    assert.ok(!(await body(gateway, '/ready', { authorization: 'Bearer wrong' })).includes('internal.example'))
  })

  it('reads no topic in the statistics of a live door that asks for a token', async () => {
    const env = { ADMIN_TOKEN: TOKEN, LIVE_TOPICS: 'merger.acme', WS_AUTH_TOKEN: 'a-live-token-of-a-test' }
    const closed = await start({ ...env, WS_AUTH_REQUIRED: 'true' })
    const open = await start(env)
    for (const path of ['stats', 'health', 'limits', 'contract']) {
      const url = `/api/dashboard/websocket/${path}`
      const text = await body(closed, url)
      assert.ok(!text.includes('merger') && !text.includes('subscription_counts'), text)
      assert.ok(!text.includes('127.0.0.1'))
    }
    assert.ok((await body(closed, '/api/dashboard/websocket/stats', ADMIN)).includes('merger.acme'))
    assert.ok((await body(open, '/api/dashboard/websocket/stats')).includes('merger.acme'))
  })

  it('that writes to the stream of reports hides no other report from the page', async () => {
    const gateway = await start({ ADMIN_TOKEN: TOKEN })
    const run = await fetch(`${gateway.http}/api/preflight/run`, { method: 'POST', headers: ADMIN })
    const { id } = (await run.json()) as { id: string }
    const check = { name: 'x', status: 'pass', message: '' }
    const good = { id: 'x', eventType: 'none', mode: 'light', healthy: true, hasWarnings: false, durationMs: 1 }
    const junk: unknown[] = [null, 1, 'x', [], {}, { checks: null }, { ...good, createdAt: 'never', checks: [] }]
    junk.push({ ...good, createdAt: '2026-01-01T00:00:00Z', checks: [null] })
    junk.push({ ...good, createdAt: '2026-01-01T00:00:00Z', checks: [{ ...check, status: '__proto__' }] })
    for (const report of [...junk.map((each) => JSON.stringify(each)), '', '{'])
      await gateway.agent.xAdd('preflight:reports', '*', { id: 'x', type: 'none', healthy: '1', report })
    const text = await body(gateway, '/admin/monitoring', { accept: 'application/json', ...ADMIN })
    const { recentReports } = JSON.parse(text) as { recentReports: { id: string }[] }
    assert.ok(recentReports.some((report) => report.id === id))
    assert.ok(
      recentReports.every((report) => report.id !== 'x'),
      text,
    )
  })
})
