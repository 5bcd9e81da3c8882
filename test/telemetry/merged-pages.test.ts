import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { combineOf, countersOf, mergePages, withValue } from '../../src/telemetry/merged-pages.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { sample } from '../support/gateway.ts'

const page = (...families: string[]): string => `${families.join('\n\n')}\n`
const family = (name: string, type: string, ...samples: string[]): string =>
  [`# HELP ${name} What it is`, `# TYPE ${name} ${type}`, ...samples].join('\n')

describe('the pages of metrics of several workers', () => {
  it('add up counters, histograms and most gauges, series by series', () => {
    const one = page(
      family('wsproxy_a_total', 'counter', 'wsproxy_a_total{door="run"} 1', 'wsproxy_a_total{door="live"} 2'),
      family(
        'wsproxy_h',
        'histogram',
        'wsproxy_h_bucket{le="1"} 3',
        'wsproxy_h_bucket{le="+Inf"} 4',
        'wsproxy_h_sum 0.5',
      ),
      family('wsproxy_active_connections', 'gauge', 'wsproxy_active_connections{door="run"} 5'),
    )
    const other = page(
      family('wsproxy_a_total', 'counter', 'wsproxy_a_total{door="run"} 10', 'wsproxy_a_total{door="sse"} 20'),
      family(
        'wsproxy_h',
        'histogram',
        'wsproxy_h_bucket{le="1"} 1',
        'wsproxy_h_bucket{le="+Inf"} 1',
        'wsproxy_h_sum 0.25',
      ),
      family('wsproxy_active_connections', 'gauge', 'wsproxy_active_connections{door="run"} 6'),
    )
    assert.equal(
      mergePages([one, other]),
      page(
        family(
          'wsproxy_a_total',
          'counter',
          'wsproxy_a_total{door="run"} 11',
          'wsproxy_a_total{door="live"} 2',
          'wsproxy_a_total{door="sse"} 20',
        ),
        family(
          'wsproxy_h',
          'histogram',
          'wsproxy_h_bucket{le="1"} 4',
          'wsproxy_h_bucket{le="+Inf"} 5',
          'wsproxy_h_sum 0.75',
        ),
        family('wsproxy_active_connections', 'gauge', 'wsproxy_active_connections{door="run"} 11'),
      ),
    )
  })

  it('take the worst of what does not add up', () => {
    const gauges = (late: number, up: number, entries: number) =>
      page(
        family(
          'wsproxy_event_loop_delay_seconds',
          'gauge',
          `wsproxy_event_loop_delay_seconds{quantile="0.99"} ${late}`,
        ),
        family('wsproxy_redis_up', 'gauge', `wsproxy_redis_up ${up}`),
        family('wsproxy_revoked_entries', 'gauge', `wsproxy_revoked_entries ${entries}`),
      )
    const merged = mergePages([gauges(0.1, 1, 7), gauges(0.5, 0, 8), gauges(0.2, 1, 8)])
    assert.equal(sample(merged, 'wsproxy_event_loop_delay_seconds', { quantile: '0.99' }), 0.5)
    assert.equal(sample(merged, 'wsproxy_redis_up'), 0)
    assert.equal(sample(merged, 'wsproxy_revoked_entries'), 8)
  })

  it('keep the counters of a worker that has ended, and nothing else of it', async () => {
    const metrics = new Metrics()
    metrics.error('redis')
    metrics.redisUp.set(1)
    metrics.buffered.observe(2000, 1)
    metrics.latency.observe(0.001, 3)
    const text = await metrics.page()
    metrics.stop()
    const former = countersOf(text)
    assert.doesNotMatch(former, / gauge$/m)
    assert.doesNotMatch(former, /buffer_utilization/)
    const merged = mergePages([text], [former])
    assert.equal(sample(merged, 'wsproxy_errors_total', { type: 'redis' }), 2)
    assert.equal(sample(merged, 'wsproxy_message_latency_seconds_count'), 6)
    assert.equal(sample(merged, 'wsproxy_redis_up'), 1)
    assert.equal(sample(merged, 'wsproxy_buffer_utilization_bytes_count'), 1)
    // A page of fewer metrics gets the counters of those alone.
    assert.equal(mergePages([page(family('wsproxy_b', 'gauge', 'wsproxy_b 1'))], [former]).includes('errors'), false)
  })

  it('leave one page as it is', async () => {
    const metrics = new Metrics()
    metrics.door('session').framesOut = 3
    const text = await metrics.page()
    metrics.stop()
    const samples = (of: string) => of.split('\n').filter((line) => line !== '' && !/ nan$/i.test(line))
    assert.deepEqual(samples(mergePages([text])).sort(), samples(text).sort())
  })

  it('add up only the gauges of which each worker has a part', async () => {
    const metrics = new Metrics()
    const text = await metrics.page()
    metrics.stop()
    const names = [...text.matchAll(/^# TYPE (\S+) gauge$/gm)].map(([, name]) => name!)
    const summed = names.filter((name) => combineOf(name) === 'sum')
    assert.deepEqual(summed.filter((name) => name.startsWith('wsproxy_')).sort(), SUMMED)
    assert.deepEqual(
      summed.filter((name) => /eventloop|version|start_time/.test(name)),
      [],
    )
  })

  it('get what only the supervisor knows', () => {
    const text = page(family('wsproxy_workers', 'gauge', 'wsproxy_workers 1'))
    assert.equal(sample(withValue(text, 'wsproxy_workers', 4), 'wsproxy_workers'), 4)
  })
})

/** A new gauge comes into this list, or into one of src/telemetry/merged-pages.ts. */
const SUMMED: readonly string[] = [
  'wsproxy_active_connections',
  'wsproxy_live_last_broadcast_fanout',
  'wsproxy_live_retained_topics',
  'wsproxy_live_subscriptions',
  'wsproxy_redis_pubsub_channels_active',
  'wsproxy_sse_lagging',
  'wsproxy_upstream_held_messages',
  'wsproxy_workers',
  'wsproxy_workers_missing',
]
