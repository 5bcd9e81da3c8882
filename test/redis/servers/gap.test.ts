import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { OpenGap } from '../../../src/redis/servers/gap.ts'

describe('the open gap of a server', () => {
  it('keeps the reason and the start of the first loss of a server', () => {
    const gap = new OpenGap()
    gap.open('redis_deaf', 10)
    gap.open('redis_down', 5)
    assert.deepEqual(gap.current, { from: 10, reason: 'redis_deaf' })
  })

  it('grows a gap from some channels to all when the whole server is lost', () => {
    const gap = new OpenGap()
    gap.add({ from: 10, reason: 'redis_moved', channels: new Set(['a']) })
    gap.open('redis_down', 20)
    assert.deepEqual(gap.current, { from: 10, reason: 'redis_down' })
  })

  it('joins the gaps of two moves and starts with the earlier one', () => {
    const gap = new OpenGap()
    gap.add({ from: 10, reason: 'redis_moved', channels: new Set(['a']) })
    gap.add({ from: 5, reason: 'redis_moved', channels: new Set(['b']) })
    assert.deepEqual(gap.current, { from: 5, reason: 'redis_moved', channels: new Set(['a', 'b']) })
  })

  it('keeps a gap of all channels when channels with an earlier loss are added', () => {
    const gap = new OpenGap()
    gap.open('redis_down', 10)
    gap.add({ from: 5, reason: 'redis_moved', channels: new Set(['a']) })
    assert.deepEqual(gap.current, { from: 5, reason: 'redis_down' })
  })

  it('corrects the reason of a gap only if it is the assumed one', () => {
    const gap = new OpenGap()
    gap.correctReason('redis_down', 'redis_output_limit')
    assert.equal(gap.current, undefined)
    gap.open('redis_deaf', 1)
    gap.correctReason('redis_down', 'redis_output_limit')
    assert.equal(gap.take()?.reason, 'redis_deaf')
    gap.open('redis_down', 2)
    gap.correctReason('redis_down', 'redis_output_limit')
    assert.deepEqual(gap.current, { from: 2, reason: 'redis_output_limit' })
  })

  it('returns a gap once and then forgets it', () => {
    const gap = new OpenGap()
    gap.open('redis_down', 1)
    assert.deepEqual(gap.take(), { from: 1, reason: 'redis_down' })
    assert.equal(gap.take(), undefined)
  })
})
