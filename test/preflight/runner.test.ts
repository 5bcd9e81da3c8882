import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { RedisUnavailable } from '../../src/platform/unavailable.ts'
import type { Check, Launch, Report } from '../../src/preflight/check.ts'
import { Runner, TooManyRuns } from '../../src/preflight/runner.ts'
import { VirtualClock } from '../support/clock.ts'
import { checkContext, FULL, LIGHT, newCheck, PASS, resultOf } from '../support/preflight.ts'
import { atEnd } from '../support/scope.ts'
import { within } from '../support/wait.ts'

/** Longer than any check here takes on a slow machine. */
const AMPLE_MS = 10_000

const runner = (checks: Check[], timeoutMs = AMPLE_MS, finished?: (report: Report) => void) =>
  new Runner({ checks, context: checkContext(), timeoutMs, ...(finished && { finished }) })

const run = (checks: Check[], launch: Launch = FULL, timeoutMs?: number) =>
  within(runner(checks, timeoutMs).run(launch), 'the run')

const FAIL = { status: 'fail', message: 'broken', remediation: 'mend it' } as const

describe('a preflight run', () => {
  it('a run ends with a report of all checks, their verdicts and durations', async () => {
    const report = await run([
      newCheck('one', async () => ({ status: 'pass', message: 'fine', details: { a: 1 } })),
      newCheck('two', async () => ({ status: 'warn', message: 'hm', remediation: 'look at it' })),
    ])
    assert.deepEqual(
      { ...report, id: '', createdAt: '', durationMs: 0, checks: [] },
      {
        id: '',
        mode: 'full',
        eventType: 'none',
        healthy: true,
        success: true,
        hasWarnings: true,
        checks: [],
        durationMs: 0,
        createdAt: '',
      },
    )
    const said = report.checks.map(({ durationMs, ...rest }) => rest)
    assert.deepEqual(said, [
      { name: 'one', priority: 0, status: 'pass', message: 'fine', details: { a: 1 } },
      { name: 'two', priority: 0, status: 'warn', message: 'hm', remediation: 'look at it' },
    ])
    for (const { durationMs } of report.checks) assert.ok(durationMs >= 0 && durationMs < AMPLE_MS)
    assert.ok(Math.abs(Date.parse(report.createdAt) - Date.now()) < 5000)
    assert.match(report.id, /^[0-9a-z]{9}-[0-9a-f]{16}$/)
  })

  it('the report contains the launch that the caller described', async () => {
    const launch: Launch = {
      ...FULL,
      eventType: 'mail',
      campaignId: 'c',
      agentId: 'a',
      userId: 'u',
      metadata: { k: 1 },
    }
    const report = await runner([]).run(launch, 'ci')
    const { eventType, campaignId, agentId, userId, metadata, triggeredBy } = report
    assert.deepEqual(
      { eventType, campaignId, agentId, userId, metadata, triggeredBy },
      {
        eventType: 'mail',
        campaignId: 'c',
        agentId: 'a',
        userId: 'u',
        metadata: { k: 1 },
        triggeredBy: 'ci',
      },
    )
  })

  it('checks of one priority run in parallel, those of the next priority after them', async () => {
    const order: string[] = []
    const slow = (name: string, priority: number) =>
      newCheck(
        name,
        async () => {
          order.push(`${name} begins`)
          await new Promise((resolve) => setTimeout(resolve, 10))
          order.push(`${name} ends`)
          return PASS
        },
        { priority },
      )
    await run([slow('a', 0), slow('b', 0), slow('c', 5)])
    assert.deepEqual(order, ['a begins', 'b begins', 'a ends', 'b ends', 'c begins', 'c ends'])
  })

  it('checks of later tiers run after a failure, side by side', async () => {
    let later = 0
    const count = async () => {
      later++
      return PASS
    }
    const report = await run([
      newCheck('broken', async () => FAIL),
      newCheck('beside'),
      newCheck('next', count, { priority: 1 }),
      newCheck('last', count, { priority: 2 }),
    ])
    assert.equal(later, 2)
    assert.equal(report.healthy, false)
    assert.equal(resultOf(report, 'beside').status, 'pass')
    for (const name of ['next', 'last']) assert.equal(resultOf(report, name).status, 'pass')
  })

  it('a later check cannot tell without Redis only where the check redis has failed', async () => {
    const asksRedis = async () => {
      throw new RedisUnavailable('the command connection is lost')
    }
    const later = newCheck('later', asksRedis, { priority: 1 })
    const outcome = async (redis: Check) => {
      const report = await run([redis, later])
      return [report.healthy, resultOf(report, 'later').status, resultOf(report, 'later').message]
    }
    assert.deepEqual(await outcome(newCheck('redis', async () => FAIL)), [
      false,
      'skipped',
      'cannot tell without Redis: see the check redis',
    ])
    assert.deepEqual(await outcome(newCheck('redis')), [false, 'fail', 'the command connection is lost'])
  })

  it('a run goes on after a warning', async () => {
    const warn = newCheck('warn', async () => ({ status: 'warn', message: '' }))
    const report = await run([warn, newCheck('next', undefined, { priority: 1 })])
    assert.equal(resultOf(report, 'next').status, 'pass')
    assert.deepEqual([report.healthy, report.hasWarnings], [true, true])
  })

  it('a light run has the checks of priority 10 and below', async () => {
    const checks = [0, 10, 11].map((priority) => newCheck(`p${priority}`, undefined, { priority }))
    const names = async (launch: Launch) => (await run(checks, launch)).checks.map(({ name }) => name)
    assert.deepEqual(await names(LIGHT), ['p0', 'p10'])
    assert.deepEqual(await names(FULL), ['p0', 'p10', 'p11'])
  })

  it('a run has the checks that apply to the event type', async () => {
    const checks = [newCheck('every'), newCheck('mail', undefined, { appliesTo: ['mail', 'sms'] })]
    const names = async (eventType: string) =>
      (await run(checks, { ...FULL, eventType })).checks.map(({ name }) => name)
    assert.deepEqual(await names('mail'), ['every', 'mail'])
    assert.deepEqual(await names('call'), ['every'])
  })
})

describe('a check that misbehaves', () => {
  const failureOf = async (execute: unknown, timeoutMs?: number) => {
    const report = await run([newCheck('odd', execute as Check['execute'])], FULL, timeoutMs)
    assert.equal(report.healthy, false)
    const { status, message } = resultOf(report, 'odd')
    assert.equal(status, 'fail')
    return message
  }

  it('a check that hangs fails after its timeout, gets its signal aborted and delays no other check', async (t) => {
    let aborted = false
    const hangs: Check['execute'] = (_, signal) =>
      new Promise(() => {
        signal.addEventListener('abort', () => {
          aborted = true
        })
      })
    const clock = new VirtualClock()
    atEnd(t, () => clock.restore())
    const running = runner([newCheck('hangs', hangs), newCheck('beside')], 30).run(FULL)
    await clock.pass(29)
    assert.equal(aborted, false)
    await clock.pass(1)
    const report = await running
    assert.equal(resultOf(report, 'hangs').message, 'it did not finish within 30 ms')
    assert.equal(resultOf(report, 'beside').status, 'pass')
    assert.ok(aborted)
  })

  it('a check that throws on abort fails with the timeout as its reason', async () => {
    const throws: Check['execute'] = (_, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))))
    assert.equal(await failureOf(throws, 20), 'it did not finish within 20 ms')
  })

  it('a check that throws, at once or later, fails with what it threw as its message', async () => {
    const message = await failureOf(() => {
      throw new Error('at once')
    })
    assert.equal(message, 'at once')
    assert.equal(await failureOf(async () => Promise.reject(new Error('later'))), 'later')
    assert.equal(await failureOf(async () => Promise.reject('a text')), 'a text')
    assert.match(await failureOf(async () => Promise.reject(Object.create(null))), /object was thrown/)
  })

  it('a check that throws after its timeout causes no unhandled rejection', async () => {
    const rejected: unknown[] = []
    const keep = (reason: unknown) => rejected.push(reason)
    process.on('unhandledRejection', keep)
    let fail = (_: Error) => {}
    const late = new Promise<never>((_, reject) => {
      fail = reject
    })
    await failureOf(() => late, 10)
    fail(new Error('late'))
    // Node reports an unhandled rejection at the end of the turn.
    await new Promise(setImmediate)
    process.removeListener('unhandledRejection', keep)
    assert.deepEqual(rejected, [])
  })

  it('a check that returns no valid result fails', async () => {
    for (const value of [undefined, null, 'pass', 7]) {
      assert.match(await failureOf(async () => value), /returned no result/)
    }
    assert.match(await failureOf(async () => ({ message: 'x' })), /the unknown status undefined/)
    assert.match(await failureOf(async () => ({ status: 'great' })), /the unknown status "great"/)
    const unreadable = Object.defineProperty({}, 'status', {
      get: () => {
        throw new Error('no')
      },
    })
    assert.match(await failureOf(async () => unreadable), /cannot be read/)
  })

  it('a check that returns the result of another check fails', async () => {
    const message = await failureOf(async () => ({ ...PASS, name: 'other' }))
    assert.equal(message, 'it returned the result of "other"')
    assert.equal((await run([newCheck('own', async () => ({ ...PASS, name: 'own' }))])).healthy, true)
  })

  it('a result in the words of older programs passes or fails by its success', async () => {
    const result = async (value: object) =>
      resultOf(await run([newCheck('own', (async () => value) as unknown as Check['execute'])]), 'own')
    const cases: [object, string, string][] = [
      [{ success: true, message: 'fine' }, 'pass', 'fine'],
      [{ success: false, message: 'no database', error: 'ECONNREFUSED' }, 'fail', 'no database: ECONNREFUSED'],
      [{ success: false, message: 'no: ECONNREFUSED', error: 'ECONNREFUSED' }, 'fail', 'no: ECONNREFUSED'],
      [{ success: false, error: new Error('late') }, 'fail', 'late'],
      [{ success: false, message: 'no', error: 7 }, 'fail', 'no'],
      [{ success: false, status: 'warn', message: 'hm' }, 'warn', 'hm'],
    ]
    for (const [value, status, message] of cases) {
      const { status: came, message: text } = await result(value)
      assert.deepEqual([came, text], [status, message], JSON.stringify(value))
    }
    assert.match((await result({ success: 'yes' })).message, /unknown status undefined/)
  })

  it('texts of a check are cut, and details that are too long or not JSON are left out', async () => {
    const cyclic: Record<string, unknown> = {}
    cyclic.self = cyclic
    const report = await run([
      newCheck('long', async () => ({
        status: 'pass',
        message: 'x'.repeat(50_000),
        details: { y: 'y'.repeat(50_000) },
      })),
      newCheck('cyclic', async () => ({ status: 'pass', message: '', details: cyclic })),
      newCheck('big', async () => ({ status: 'pass', message: '', details: { n: 1n } })),
    ])
    assert.ok(resultOf(report, 'long').message.length < 11_000)
    assert.deepEqual(resultOf(report, 'long').details, { omitted: '50008 characters of details' })
    assert.match(String(resultOf(report, 'cyclic').details?.omitted), /not JSON/)
    assert.match(String(resultOf(report, 'big').details?.omitted), /not JSON/)
    assert.ok(JSON.stringify(report).length < 20_000)
  })
})

describe('runs at the same time', () => {
  it('a hundred runs of one launch do the work once and finish once', async () => {
    let worked = 0
    let finished = 0
    const slow = newCheck('slow', async () => {
      worked++
      await new Promise((resolve) => setTimeout(resolve, 20))
      return PASS
    })
    const shared = runner([slow], AMPLE_MS, () => finished++)
    const launches = Array.from({ length: 100 }, (_, i): Launch => {
      const metadata = i % 2 ? { a: 1, b: { c: 2, d: 3 } } : { b: { d: 3, c: 2 }, a: 1 }
      return i % 2 ? { mode: 'full', eventType: 'mail', metadata } : { metadata, eventType: 'mail', mode: 'full' }
    })
    const reports = await Promise.all(launches.map((launch) => shared.run(launch)))
    assert.equal(worked, 1)
    assert.equal(finished, 1)
    assert.equal(new Set(reports.map(({ id }) => id)).size, 1)
    await shared.run(launches[0]!)
    assert.equal(worked, 2, 'a later one works again')
  })

  it('runs whose launches differ in any member are not shared', async () => {
    let worked = 0
    const count = newCheck('count', async () => {
      worked++
      return PASS
    })
    const all: Launch[] = [
      FULL,
      LIGHT,
      { ...FULL, eventType: 'mail' },
      { ...FULL, sessionId: 's' },
      { ...FULL, runId: 's' },
    ]
    all.push({ ...FULL, metadata: { a: 1 } }, { ...FULL, metadata: { a: [1] } })
    const shared = runner([count])
    await Promise.all(all.map((launch) => shared.run(launch)))
    assert.equal(worked, all.length)
  })

  it('runs past the limit are refused and succeed later', async () => {
    let release = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const shared = runner([
      newCheck('held', async () => {
        await held
        return PASS
      }),
    ])
    const running = Array.from({ length: 100 }, (_, i) => shared.run({ ...FULL, userId: String(i) }))
    await assert.rejects(shared.run({ ...FULL, userId: 'one more' }), TooManyRuns)
    const joined = shared.run({ ...FULL, userId: '7' })
    release()
    assert.equal((await joined).id, (await running[7]!).id)
    assert.ok((await shared.run({ ...FULL, userId: 'one more' })).healthy)
  })
})
