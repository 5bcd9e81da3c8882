import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseSlots } from '../../src/redis/slots.ts'

const addressOf = (...node: unknown[]) => parseSlots([[0, 16383, node]], '10.0.0.1')[0]!.address

describe('the host of a cluster node', () => {
  it('is the one that it says', () => {
    assert.equal(addressOf('10.0.0.2', 6379, 'id'), '10.0.0.2:6379')
    assert.equal(addressOf('fd00::2', 6379, 'id', []), '[fd00::2]:6379')
  })

  it('is the one that was asked where it says none', () => {
    for (const host of [null, '', '?']) assert.equal(addressOf(host, 7000, 'id', []), '10.0.0.1:7000')
    assert.equal(addressOf('?', 7000, 'id', ['ip', '?']), '10.0.0.1:7000')
  })

  it('is the address in its metadata where it prefers a name and has none', () => {
    assert.equal(addressOf('?', 7000, 'id', ['ip', '10.0.0.3']), '10.0.0.3:7000')
    assert.equal(addressOf(null, 7000, 'id', ['hostname', 'redis-3']), 'redis-3:7000')
  })
})
