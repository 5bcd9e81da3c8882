import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { RedisUnavailable } from '../../../src/platform/unavailable.ts'
import type { Report } from '../../../src/preflight/check.ts'
import { Recorder, type RecorderParts } from '../../../src/preflight/reports/recorder.ts'
import { Metrics } from '../../../src/telemetry/metrics.ts'
import { VirtualClock } from '../../support/clock.ts'
import { keptLog } from '../../support/link.ts'
import { newReport } from '../../support/preflight.ts'
import { atEnd } from '../../support/scope.ts'
import { eventually } from '../../support/wait.ts'

describe('the recorder of preflight runs', () => {
  let metrics: Metrics
  let kept: Report[]
  let lines: Record<string, unknown>[]
  beforeEach(() => {
    metrics = new Metrics()
    kept = []
  })
  afterEach(() => metrics.stop())

  function recorder(rest: Partial<RecorderParts> = {}): Recorder {
    const log = keptLog()
    lines = log.lines
    const keep = async (report: Report) => void kept.push(report)
    return new Recorder({ keep, metrics, log: log.log, eventTypes: [], ...rest })
  }
  const unrecorded = async () => (await metrics.preflightUnrecorded.get()).values[0]?.value ?? 0

  it('the recorder stores reports in order and retries while Redis is away', async () => {
    let away = true
    const keep = async (report: Report) => {
      if (away) throw new RedisUnavailable('away')
      kept.push(report)
    }
    const made = recorder({ keep })
    const reports = [newReport(), newReport(), newReport()]
    for (const report of reports) made.keep(report)
    away = false
    await eventually(() => kept.length === 3, 'the reports')
    assert.deepEqual(kept, reports)
    assert.equal(await unrecorded(), 0)
    await made.stop(100)
  })

  it('the recorder counts and logs a report that Redis refuses, and goes on', async () => {
    const keep = async (report: Report) => {
      if (report.eventType === 'bad') throw new Error('OOM command not allowed')
      kept.push(report)
    }
    const made = recorder({ keep })
    made.keep(newReport({ eventType: 'bad' }))
    made.keep(newReport())
    await eventually(() => kept.length === 1, 'the second')
    assert.equal(await unrecorded(), 1)
    assert.match(String(lines.find(({ event }) => event === 'preflight-unrecorded')?.reason), /OOM/)
    await made.stop(100)
  })

  it('the recorder queues at most a hundred reports and counts those that it drops', async () => {
    const made = recorder({ keep: () => Promise.reject(new RedisUnavailable('away')) })
    for (let i = 0; i < 130; i++) made.keep(newReport())
    assert.equal(await unrecorded(), 30)
    await made.stop(10)
    assert.equal(await unrecorded(), 130, 'what is left at the end is counted, too')
  })

  it('stop of the recorder ends within its timeout while Redis hangs', async (t) => {
    const made = recorder({ keep: () => new Promise(() => {}) })
    made.keep(newReport())
    const clock = new VirtualClock()
    atEnd(t, () => clock.restore())
    const stopped = made.stop(50)
    await clock.pass(50)
    await stopped
    assert.equal(await unrecorded(), 1)
  })

  it('event types become labels by name up to fifty different ones, or those of the setting alone', async () => {
    const labelsOf = async (eventTypes: string[], occurring: string[]) => {
      const own = new Metrics()
      const { log } = keptLog()
      const made = new Recorder({ keep: async () => {}, metrics: own, log, eventTypes })
      for (const eventType of occurring) made.count(newReport({ eventType }))
      const { values } = await own.preflightRuns.get()
      own.stop()
      return values.map(({ labels, value }) => [labels.event_type, value])
    }
    const types = Array.from({ length: 60 }, (_, i) => `type-${i}`)
    const first = await labelsOf([], ['none', ...types, ...types])
    assert.equal(first.length, 52)
    assert.deepEqual(first.at(-1), ['other', 20])
    assert.deepEqual(first[50], ['type-49', 2])
    assert.deepEqual(await labelsOf(['type-1'], ['none', 'type-1', 'type-2', 'type-1']), [
      ['none', 1],
      ['type-1', 2],
      ['other', 1],
    ])
  })

  it('the recorder survives a sink that throws', async () => {
    const send = () => {
      throw new Error('no')
    }
    const made = recorder({ sink: { send, flush: () => Promise.reject(new Error('no')) } })
    made.keep(newReport())
    await eventually(() => kept.length === 1, 'the report')
    await made.stop(100)
    assert.equal(await unrecorded(), 0)
  })
})
