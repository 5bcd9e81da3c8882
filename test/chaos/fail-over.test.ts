import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { withoutRealRedis } from '../support/redis.ts'
import { withoutHaproxy } from '../support/redis-balancer.ts'
import { failOverText, runFailOver } from './fail-over.ts'

const SEEDS = [1, 2]

describe('a gateway behind one address of a master and its replica', {
  skip: withoutRealRedis || withoutHaproxy,
}, () => {
  for (const seed of SEEDS) {
    it(`accounts for every message through the fail-overs of seed ${seed}`, async (t) => {
      const { plan, complaints, sockets, down, up, slowestMs } = await runFailOver(t, seed)
      t.diagnostic(`${failOverText(plan)}\n  ${sockets} sockets, ${down} down, ${up} up, followed in ${slowestMs} ms`)
      assert.deepEqual(complaints, [])
      assert.ok(down > 0 && up > 0, 'the run had traffic')
    })
  }
})
