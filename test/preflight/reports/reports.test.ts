import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { preflightReports } from '../../../src/contract/names.ts'
import type { Report, Result } from '../../../src/preflight/check.ts'
import { bucketsOf, DAY_MS, HOUR_MS, statsOf } from '../../../src/preflight/reports/counts.ts'
import { Reports } from '../../../src/preflight/reports/reports.ts'
import { openLink, type TestLink } from '../../support/link.ts'
import { newReport } from '../../support/preflight.ts'
import { type Client, redisFor, type TestRedis, withoutRealRedis } from '../../support/redis.ts'
import { atEnd, scopeOf } from '../../support/scope.ts'

const RETENTION_MS = 30 * DAY_MS
const failing = (name: string): Partial<Report> => ({
  healthy: false,
  checks: [
    { name, status: 'fail', message: 'broken', durationMs: 1 },
    { name: 'later', status: 'skipped', message: `not run, because ${name} failed`, durationMs: 0 },
  ] satisfies Result[],
})
const at = (ms: number): Partial<Report> => ({ createdAt: new Date(ms).toISOString() })

describe('the reports in Redis', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let client: Client
  let own: TestLink
  let reports: Reports
  before(async () => {
    redis = await redisFor(suite)
    client = await redis.client()
    own = await openLink(redis.url)
    atEnd(suite, () => own.close())
    reports = new Reports((args) => own.link.client.sendCommand(args), RETENTION_MS)
  })
  afterEach(() => client.sendCommand(['FLUSHALL']))

  const stats = async (windowMs: number, now = Date.now()) => {
    const buckets = bucketsOf(windowMs, now)
    return statsOf(buckets, await reports.counts(buckets), now)
  }

  it('a report is found by its id, unchanged', async () => {
    const report = newReport({ eventType: 'mail', metadata: { a: ['é', 1] }, triggeredBy: 'ci' })
    await reports.add(report, Date.now())
    assert.deepEqual(await reports.find(report.id), report)
    assert.equal(await reports.find(newReport().id), undefined)
    for (const id of ['', 'x', '../x', `${report.id}0`, '*']) assert.equal(await reports.find(id), undefined)
  })

  it('reports are entries of one stream, with their counts in the same slot of a cluster', async () => {
    await reports.add(newReport(), Date.now())
    assert.equal(await client.xLen(preflightReports()), 1)
    const keys = (await client.keys('*')).sort()
    assert.equal(keys.length, 4)
    for (const key of keys) assert.ok(key === preflightReports() || key.startsWith(`{${preflightReports()}}:`), key)
    for (const key of keys.slice(1))
      if (key !== preflightReports()) assert.ok((await client.ttl(key)) > RETENTION_MS / 1000)
  })

  it('a report is stored once, however often the call is repeated', async () => {
    const report = newReport()
    for (let i = 0; i < 3; i++) await reports.add(report, Date.now())
    assert.equal(await client.xLen(preflightReports()), 1)
    assert.equal((await stats(DAY_MS)).totalRuns, 1)
  })

  it('reports are listed newest first, page by page, none twice and none left out', async () => {
    const all = Array.from({ length: 25 }, () => newReport())
    for (const report of all) await reports.add(report, Date.now())
    const seen: string[] = []
    let before: string | undefined
    do {
      const page = await reports.list({ limit: 10, ...(before !== undefined && { before }) })
      seen.push(...page.reports.map(({ id }) => id))
      before = page.next
    } while (before !== undefined)
    assert.deepEqual(seen, all.map(({ id }) => id).reverse())
  })

  it('reports are listed by event type and outcome, with a position to continue from after a cut', async () => {
    const wanted = newReport({ eventType: 'mail', ...failing('redis') })
    await reports.add(wanted, Date.now())
    await reports.add(newReport({ eventType: 'mail' }), Date.now())
    for (let i = 0; i < 1100; i++) await reports.add(newReport({ eventType: 'sms', ...failing('redis') }), Date.now())
    assert.equal((await reports.list({ limit: 2000, healthy: false })).reports.length, 1000, 'a look has an end')
    const first = await reports.list({ limit: 10, eventType: 'mail', healthy: false })
    assert.deepEqual(first.reports, [])
    const second = await reports.list({ limit: 10, eventType: 'mail', healthy: false, before: first.next! })
    assert.deepEqual(second, { reports: [wanted], next: undefined })
    assert.equal((await reports.list({ limit: 10, healthy: true, before: first.next! })).reports.length, 1)
  })

  it('reports are listed from a given time on', async () => {
    await reports.add(newReport(), Date.now())
    assert.equal((await reports.list({ limit: 10, before: String(Date.now() + 1000) })).reports.length, 1)
    assert.deepEqual(await reports.list({ limit: 10, before: String(Date.now() - 60_000) }), {
      reports: [],
      next: undefined,
    })
  })

  it('reports older than the retention are removed', async () => {
    const old = newReport()
    await reports.add(old, Date.now())
    await reports.add(newReport(), Date.now() + RETENTION_MS + 1000)
    assert.equal(await client.xLen(preflightReports()), 0)
    assert.equal(await reports.find(old.id), undefined)
  })

  it('statistics hold runs, success rate, mean duration, event types and the failures of each check', async () => {
    const now = Date.now()
    const [first, last] = [now - 20 * 60_000, now - 1000]
    await reports.add(newReport({ ...at(last), ...failing('redis'), durationMs: 10 }), now)
    await reports.add(newReport({ ...at(first), ...failing('redis'), durationMs: 20, eventType: 'mail' }), now)
    await reports.add(newReport({ eventType: 'mail', durationMs: 30, hasWarnings: true }), now)
    await reports.add(newReport({ eventType: 'mail', durationMs: 40.5 }), now)
    const { totalRuns, successRate, meanDurationMs, eventTypes, topFailures, outcomes } = await stats(DAY_MS, now)
    assert.deepEqual(
      { totalRuns, successRate, meanDurationMs },
      { totalRuns: 4, successRate: 0.5, meanDurationMs: 25.125 },
    )
    assert.deepEqual(eventTypes, [
      { eventType: 'mail', runs: 3 },
      { eventType: 'none', runs: 1 },
    ])
    const lastAt = new Date(last).toISOString()
    const older = { checkName: 'redis', failureCount: 2, failureRate: 0.5 }
    assert.deepEqual(topFailures, [{ check: 'redis', count: 2, rate: 0.5, lastAt, ...older }])
    const sum = (key: 'passed' | 'warned' | 'failed') => outcomes.reduce((all, each) => all + each[key], 0)
    assert.deepEqual([sum('passed'), sum('warned'), sum('failed')], [1, 1, 2])
  })

  it('statistics name the ten checks that fail most, with no rate above 1', async () => {
    for (let check = 0; check < 12; check++)
      for (let i = 0; i <= check; i++) await reports.add(newReport(failing(`check-${check}`)), Date.now())
    const { topFailures } = await stats(HOUR_MS)
    assert.equal(topFailures.length, 10)
    assert.deepEqual(
      topFailures.slice(0, 2).map(({ check, count, rate }) => [check, count, rate]),
      [
        ['check-11', 12, 1],
        ['check-10', 11, 1],
      ],
    )
  })

  it('statistics count a hundred event types by name and further ones together', async () => {
    for (let i = 0; i < 105; i++) await reports.add(newReport({ eventType: `type-${i}` }), Date.now())
    const { eventTypes, totalRuns } = await stats(HOUR_MS)
    assert.equal(totalRuns, 105)
    assert.deepEqual(eventTypes[0], { eventType: 'other', runs: 5 })
  })

  it('statistics without runs hold zeros and nulls', async () => {
    const { totalRuns, successRate, meanDurationMs, outcomes } = await stats(DAY_MS)
    assert.deepEqual([totalRuns, successRate, meanDurationMs], [0, null, null])
    assert.equal(outcomes.length, 25)
  })

  it('statistics over two weeks read one hash per bucket, within a tenth of a second, however many reports', {
    skip: withoutRealRedis,
    timeout: 120_000,
  }, async () => {
    const [runs, weeks] = [20_000, 14 * DAY_MS]
    const now = Date.now()
    for (let first = 0; first < runs; first += 2000) {
      const batch = Array.from({ length: 2000 }, (_, i) => {
        const made = at(now - ((first + i) / runs) * (weeks - HOUR_MS))
        return reports.add(newReport({ ...made, ...((first + i) % 10 === 0 ? failing(`check-${i % 12}`) : {}) }), now)
      })
      await Promise.all(batch)
    }
    await client.configResetStat()
    const { totalRuns, successRate, topFailures } = await stats(weeks, now)
    assert.deepEqual([totalRuns, successRate, topFailures.length], [runs, 0.9, topFailures.length])
    const reads = Number(/^cmdstat_hgetall:calls=(\d+)/m.exec(await client.info('commandstats'))?.[1])
    assert.equal(reads, bucketsOf(weeks, now).length)
    // The best of many: other processes may take the CPU meanwhile.
    let bestMs = Number.POSITIVE_INFINITY
    for (let i = 0; i < 20; i++) {
      const startedAt = performance.now()
      await stats(weeks, now)
      bestMs = Math.min(bestMs, performance.now() - startedAt)
    }
    assert.ok(bestMs < 100, `${bestMs.toFixed(1)} ms`)
  })
})

describe('the buckets of a window', () => {
  const NOW = Date.UTC(2026, 4, 10, 12, 34)

  it('a window of up to two days consists of hours, from the hour in which it begins', () => {
    const buckets = bucketsOf(DAY_MS, NOW)
    assert.equal(buckets.length, 25)
    assert.ok(buckets.every(({ unit }) => unit === 'hour'))
    assert.equal(buckets[0]!.from, Date.UTC(2026, 4, 9, 12))
    assert.equal(buckets.at(-1)!.from, Date.UTC(2026, 4, 10, 12))
  })

  it('a longer window consists of whole days where possible and covers each moment once', () => {
    const buckets = bucketsOf(14 * DAY_MS, NOW)
    assert.equal(buckets[0]!.from, Date.UTC(2026, 3, 26, 12))
    let next = buckets[0]!.from
    for (const { unit, number, from } of buckets) {
      assert.equal(from, next)
      assert.equal(number, from / (unit === 'day' ? DAY_MS : HOUR_MS))
      next += unit === 'day' ? DAY_MS : HOUR_MS
    }
    assert.ok(next > NOW)
    assert.equal(buckets.length, 12 + 14)
  })
})
