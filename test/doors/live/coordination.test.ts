import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Coordination, type Totals } from '../../../src/doors/live/coordination.ts'

/** Samples as time would take them, each with so much more of everything. */
async function after(steps: readonly Partial<Totals>[]) {
  const now = { accepted: 1000, refused: 500, sent: 0, dropped: 0 }
  const coordination = new Coordination(async () => ({ ...now }))
  coordination.stop()
  for (const step of steps) {
    for (const [name, more] of Object.entries(step)) now[name as keyof Totals] += more
    await coordination.sample()
  }
  return coordination.metrics()
}

describe('the metrics of coordination', () => {
  it('the success rate starts at 1, whatever was counted before', async () => {
    assert.deepEqual(await after([]), {
      success_rate: 1,
      trend: 'stable',
      window_seconds: 300,
      upgrades: { accepted: 0, refused: 0 },
      deliveries: { sent: 0, dropped: 0 },
    })
  })

  it('the metrics have the success rate of the window and its trend', async () => {
    const good = { accepted: 10, sent: 90 }
    const bad = { refused: 10, sent: 80, dropped: 10 }
    const half = (step: Partial<Totals>) => Array.from({ length: 10 }, () => step)
    const worse = await after([...half(good), ...half(bad)])
    assert.deepEqual([worse.success_rate, worse.trend], [0.9, 'declining'])
    assert.equal((await after([...half(bad), ...half(good)])).trend, 'improving')
    assert.equal((await after(half(bad))).trend, 'stable')
  })

  it('counts older than the window no longer affect the success rate', async () => {
    const old = Array.from({ length: 5 }, () => ({ dropped: 1000 }))
    const recent = Array.from({ length: 31 }, () => ({ sent: 1 }))
    assert.equal((await after([...old, ...recent])).success_rate, 1)
  })
})
