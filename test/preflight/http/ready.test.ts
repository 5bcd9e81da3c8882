import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { preflightReports } from '../../../src/contract/names.ts'
import type { Check, Report } from '../../../src/preflight/check.ts'
import { Readiness } from '../../../src/preflight/http/ready.ts'
import { Runner } from '../../../src/preflight/runner.ts'
import { bareGatewayFor } from '../../support/bare.ts'
import { VirtualClock } from '../../support/clock.ts'
import { gatewayFor } from '../../support/gateway.ts'
import { checkContext, checkFolderFor, checkSource, newCheck, PASS } from '../../support/preflight.ts'
import { proxyFor } from '../../support/proxy.ts'
import { redisFor } from '../../support/redis.ts'
import { eventually } from '../../support/wait.ts'

const ready = async (http: string) => {
  const response = await fetch(`${http}/ready`)
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

describe('/ready', () => {
  it('/ready names each failing light check with its remedy, and no check of the full mode', async (t) => {
    const folder = checkFolderFor(t)
    const fail = (what: string) => `return { status: 'fail', message: '${what}', remediation: 'mend ${what}' }`
    folder.add('a.js', checkSource('licence', fail('the licence'), 10)).add('b.js', checkSource('later', fail('b'), 11))
    const gateway = await gatewayFor(t, { env: { PREFLIGHT_CHECKS_FOLDER: folder.path } })
    const { status, body } = await ready(gateway.http)
    assert.equal(status, 503)
    assert.equal(body.reason, 'preflight')
    assert.deepEqual(body.failed, [{ name: 'licence', message: 'the licence', remediation: 'mend the licence' }])
  })

  it('/ready stores a report when its outcome changes, and not for every request', async (t) => {
    const folder = checkFolderFor(t)
    const verdict = "{ status: globalThis.preflightBroken ? 'fail' : 'pass', message: '' }"
    folder.add('a.js', checkSource('licence', `return ${verdict}`, 10))
    const gateway = await gatewayFor(t, { env: { PREFLIGHT_CHECKS_FOLDER: folder.path } })
    const shared = globalThis as { preflightBroken?: boolean }
    const is = (status: number) => eventually(async () => (await ready(gateway.http)).status === status, `${status}`)
    const kept = async () => {
      const entries = await gateway.agent.xRange(preflightReports(), '-', '+')
      const reports = (entries ?? []).map(({ message }) => JSON.parse(message.report!) as Report)
      return reports.map(({ checks }) => checks.map(({ name, status }) => `${name} ${status}`).join())
    }
    await is(200)
    shared.preflightBroken = true
    await is(503)
    await eventually(async () => (await kept()).at(-1)?.includes('licence fail'), 'the report of the failure')
    const runs = () =>
      gateway.metric('wsproxy_preflight_runs_total', { mode: 'light', event_type: 'none', result: 'fail' })
    const before = await runs()
    await eventually(async () => (await runs()) >= before + 2, 'two runs more')
    shared.preflightBroken = false
    await is(200)
    await eventually(async () => (await kept()).at(-1)?.includes('licence pass'), 'the report of the mend')
    // On a slow machine other checks may have another outcome than before.
    const outcomes = await kept()
    assert.deepEqual(
      outcomes.filter((outcome, i) => outcome === outcomes[i - 1]),
      [],
    )
  })

  it('/ready answers 503 the moment the gateway drains, whatever the last run found', async (t) => {
    const gateway = await gatewayFor(t, { env: { DRAIN_DELAY: '2s' } })
    assert.equal((await ready(gateway.http)).status, 200)
    const stopped = gateway.gateway.stop()
    assert.deepEqual((await ready(gateway.http)).body, { status: 'not ready', reason: 'draining' })
    await stopped
  })

  it('/ready answers 503 the moment Redis is known to be lost, and 200 when it is back', async (t) => {
    const redis = await redisFor(t)
    const proxy = await proxyFor(t, redis.port)
    const gateway = bareGatewayFor(t, `redis://127.0.0.1:${proxy.port}`)
    const is = (status: number) => eventually(async () => (await ready(gateway.http)).status === status, `${status}`)
    await is(200)
    proxy.cut()
    await eventually(() => !gateway.gateway.redisReady, 'the loss')
    assert.deepEqual((await ready(gateway.http)).body, { status: 'not ready', reason: 'redis-unavailable' })
    proxy.restore()
    await is(200)
  })

  it('/ready reports within seconds a Redis that keeps the connection but stops answering', async (t) => {
    const redis = await redisFor(t)
    const proxy = await proxyFor(t, redis.port)
    const gateway = await gatewayFor(t, {
      env: { PREFLIGHT_CHECK_TIMEOUT: '500ms' },
      redis: { ...redis, url: `redis://127.0.0.1:${proxy.port}`, client: () => redis.client() },
    })
    assert.equal((await ready(gateway.http)).status, 200)
    proxy.hold()
    const startedAt = performance.now()
    const body = await eventually(async () => {
      const answer = await ready(gateway.http)
      return answer.status === 503 ? answer.body : undefined
    }, '503')
    assert.ok(performance.now() - startedAt < 7000)
    assert.ok(['preflight', 'redis-unavailable'].includes(String(body.reason)))
    proxy.release()
  })
})

/** A check that passes, and how often it ran. */
function counting(): { check: Check['execute']; ran: () => number } {
  let count = 0
  const check = async () => {
    count++
    return PASS
  }
  return { check, ran: () => count }
}

describe('the light run behind /ready', () => {
  async function withReadiness(
    check: Check['execute'],
    work: (readiness: Readiness, clock: VirtualClock) => Promise<void>,
  ) {
    const clock = new VirtualClock()
    const runner = new Runner({ checks: [newCheck('it', check)], context: checkContext(), timeoutMs: 500 })
    const intervals = { set: globalThis.setInterval, clear: globalThis.clearInterval }
    // The test clock has timeouts only.
    Object.assign(globalThis, {
      setInterval: (repeat: () => void, ms: number) => {
        const handle = { timer: undefined as unknown, unref: () => handle }
        const again = () => {
          handle.timer = setTimeout(again, ms)
          repeat()
        }
        handle.timer = setTimeout(again, ms)
        return handle
      },
      clearInterval: (handle: { timer: NodeJS.Timeout } | undefined) => clearTimeout(handle?.timer),
    })
    const readiness = new Readiness({ runner, notReadyReason: () => undefined })
    try {
      await work(readiness, clock)
    } finally {
      readiness.stop()
      Object.assign(globalThis, { setInterval: intervals.set, clearInterval: intervals.clear })
      clock.restore()
    }
  }

  it('callers at the same time share one light run, whose report is reused', async () => {
    const { check, ran } = counting()
    await withReadiness(check, async (readiness) => {
      const answers = await Promise.all(Array.from({ length: 100 }, () => readiness.ask()))
      await readiness.ask()
      assert.equal(ran(), 1)
      assert.equal(new Set(answers.map((each) => (each as { report: Report }).report.id)).size, 1)
    })
  })

  it('the light run repeats while callers ask, is at most 5 s old, and stops a minute after the last call', async () => {
    const { check, ran } = counting()
    await withReadiness(check, async (readiness, clock) => {
      await readiness.ask()
      await clock.pass(20_000)
      const before = ran()
      assert.ok(before >= 9 && before <= 12, `${before} runs in 20 s`)
      await readiness.ask()
      assert.equal(ran(), before, 'nobody waits')
      await clock.pass(70_000)
      const stopped = ran()
      await clock.pass(600_000)
      assert.equal(ran(), stopped)
      await readiness.ask()
      assert.equal(ran(), stopped + 1, 'what is old is not used')
    })
  })

  it('a light run from before an outage of Redis is not reused', async () => {
    const { check, ran } = counting()
    await withReadiness(check, async (readiness) => {
      await readiness.ask()
      readiness.forget()
      await readiness.ask()
      assert.equal(ran(), 2)
    })
  })
})
