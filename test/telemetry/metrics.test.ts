import assert from 'node:assert/strict'
import { after, beforeEach, describe, it } from 'node:test'
import { Gauge } from 'prom-client'
import { ERROR_TYPES, GAP_REASONS, LOSS_REASONS } from '../../src/contract/reasons.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { VirtualClock } from '../support/clock.ts'
import { sample } from '../support/gateway.ts'
import { atEnd } from '../support/scope.ts'
import { blockThread } from '../support/wait.ts'

describe('the metrics', () => {
  const made: Metrics[] = []
  let metrics: Metrics
  beforeEach(() => {
    metrics = new Metrics()
    made.push(metrics)
  })
  after(() => {
    for (const each of made) each.stop()
  })
  const page = () => metrics.registry.metrics()

  it('have the prefix wsproxy_, except those of the process', async () => {
    const names = [...(await page()).matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name!)
    assert.deepEqual(
      names.filter((name) => !/^(wsproxy|process|nodejs)_/.test(name)),
      [],
    )
    assert.ok(names.length > 20)
  })

  it('include what the doors counted between two scrapes', async () => {
    const door = metrics.door('session')
    assert.equal(metrics.door('session'), door)
    door.framesOut += 3
    door.bytesOut += 30
    door.active += 2
    metrics.door('other').framesOut++
    for (let i = 0; i < 2; i++) {
      const text = await page()
      assert.equal(sample(text, 'wsproxy_messages_sent_total', { door: 'session' }), 3)
      assert.equal(sample(text, 'wsproxy_messages_sent_total', { door: 'other' }), 1)
      assert.equal(sample(text, 'wsproxy_bytes_sent_total', { door: 'session' }), 30)
      assert.equal(sample(text, 'wsproxy_active_connections', { door: 'session' }), 2)
    }
    door.framesOut++
    door.active = 0
    const text = await page()
    assert.equal(sample(text, 'wsproxy_messages_sent_total', { door: 'session' }), 4)
    assert.equal(sample(text, 'wsproxy_active_connections', { door: 'session' }), 0)
  })

  it('put each latency into the first of the cumulative buckets from 50 us that holds it', async () => {
    metrics.latency.observe(0.00005, 1)
    metrics.latency.observe(0.00006, 2)
    metrics.latency.observe(100, 4)
    const text = await page()
    const bucket = (le: string) => sample(text, 'wsproxy_message_latency_seconds_bucket', { le })
    assert.equal(bucket('0.00005'), 1)
    assert.equal(bucket('0.0001'), 3)
    assert.equal(bucket('5'), 3)
    assert.equal(bucket('+Inf'), 7)
    assert.equal(sample(text, 'wsproxy_message_latency_seconds_count'), 7)
    assert.ok(Math.abs(sample(text, 'wsproxy_message_latency_seconds_sum') - 400.00017) < 1e-6)
    assert.match(text, /^# TYPE wsproxy_message_latency_seconds histogram$/m)
    const bounds = [...text.matchAll(/^wsproxy_message_latency_seconds_bucket\{le="([^"]+)"\}/gm)].map(([, le]) => le)
    assert.equal(bounds[0], '0.00005')
    assert.equal(bounds.at(-1), '+Inf')
  })

  it('report the present fill of the buffers, with one value per socket', async () => {
    for (let i = 0; i < 4; i++) metrics.buffered.observe(0, 1)
    metrics.buffered.move(0, 2000)
    metrics.buffered.move(0, 5)
    metrics.buffered.move(5, 3 * 1024 ** 2)
    for (let i = 0; i < 2; i++) {
      const text = await page()
      assert.equal(sample(text, 'wsproxy_buffer_utilization_bytes_bucket', { le: '0' }), 2)
      assert.equal(sample(text, 'wsproxy_buffer_utilization_bytes_bucket', { le: '16384' }), 3)
      assert.equal(sample(text, 'wsproxy_buffer_utilization_bytes_count'), 4)
    }
    assert.equal(sample(await page(), 'wsproxy_buffer_utilization_bytes_sum'), 2000 + 3 * 1024 ** 2)
    for (const unsent of [2000, 3 * 1024 ** 2]) metrics.buffered.move(unsent, 0)
    metrics.buffered.observe(0, -4)
    assert.equal(sample(await page(), 'wsproxy_buffer_utilization_bytes_count'), 0)
    assert.equal(sample(await page(), 'wsproxy_buffer_utilization_bytes_sum'), 0)
  })

  it('read the values of other parts at each scrape', async () => {
    metrics.register({ channels: () => 12 })
    metrics.register({ held: () => 34 })
    metrics.received.redis = 5
    metrics.received.client = 6
    const text = await page()
    assert.equal(sample(text, 'wsproxy_redis_pubsub_channels_active'), 12)
    assert.equal(sample(text, 'wsproxy_upstream_held_messages'), 34)
    assert.equal(sample(text, 'wsproxy_messages_received_total', { source: 'redis' }), 5)
    assert.equal(sample(text, 'wsproxy_messages_received_total', { source: 'client' }), 6)
  })

  it('begin at zero for every reason, because Prometheus misses the rise of a new series', async () => {
    const text = await page()
    for (const reason of LOSS_REASONS)
      assert.match(text, new RegExp(`^wsproxy_lost_messages_total\\{reason="${reason}"\\} 0$`, 'm'))
    for (const reason of GAP_REASONS)
      assert.match(text, new RegExp(`^wsproxy_gaps_total\\{reason="${reason}"\\} 0$`, 'm'))
    for (const type of ERROR_TYPES) {
      assert.match(text, new RegExp(`^wsproxy_errors_total\\{type="${type}"\\} 0$`, 'm'))
    }
  })

  it('count losses and gaps by reason', async () => {
    metrics.lose('slow_client', 3)
    metrics.lose('invalid')
    metrics.lose('invalid')
    metrics.gap('redis_down')
    const text = await page()
    assert.equal(sample(text, 'wsproxy_lost_messages_total', { reason: 'slow_client' }), 3)
    assert.equal(sample(text, 'wsproxy_lost_messages_total', { reason: 'invalid' }), 2)
    assert.equal(sample(text, 'wsproxy_gaps_total', { reason: 'redis_down' }), 1)
  })

  it('are sent without one that throws, which is counted and reported once until it works again', async () => {
    let isBroken = true
    const failed: string[] = []
    metrics.onCollectorFailed((metric, reason) => failed.push(`${metric}: ${reason}`))
    new Gauge({
      name: 'broken',
      help: 'x',
      registers: [metrics.registry],
      collect() {
        if (isBroken) throw new AggregateError([new Error('no value')])
        this.set(1)
      },
    })
    for (let i = 0; i < 2; i++) {
      const text = await metrics.page()
      assert.match(text, /^wsproxy_redis_up 0$/m)
      assert.doesNotMatch(text, /broken/)
    }
    assert.deepEqual(failed, ['broken: no value'])
    isBroken = false
    const text = await metrics.page()
    assert.match(text, /^broken 1$/m)
    assert.equal(sample(text, 'wsproxy_errors_total', { type: 'metrics' }), 1)
  })

  it('are sent without one that hangs', async (t) => {
    const clock = new VirtualClock()
    atEnd(t, () => clock.restore())
    new Gauge({ name: 'hanging', help: 'x', registers: [metrics.registry], collect: () => new Promise(() => {}) })
    const text = metrics.page()
    await clock.pass(2000)
    assert.match(await text, /^wsproxy_redis_up 0$/m)
  })

  it('report a blocked event loop at the next scrape only', async () => {
    await page()
    // It measures from one of its ticks to the next, so it must have had one.
    await new Promise((resolve) => setTimeout(resolve, 100))
    blockThread(300)
    await new Promise((resolve) => setTimeout(resolve, 100))
    const worst = sample(await page(), 'wsproxy_event_loop_delay_seconds', { quantile: '0.999' })
    assert.ok(worst > 0.1, `${worst} s`)
    const median = sample(await page(), 'wsproxy_event_loop_delay_seconds', { quantile: '0.5' })
    assert.ok(median < worst && median >= 0, `${median} s`)
  })

  it('are separate for two gateways of one process', async () => {
    const other = new Metrics()
    made.push(other)
    metrics.error('internal')
    assert.equal(sample(await page(), 'wsproxy_errors_total', { type: 'internal' }), 1)
    assert.equal(sample(await other.registry.metrics(), 'wsproxy_errors_total', { type: 'internal' }), 0)
  })
})
