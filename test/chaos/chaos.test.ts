import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { withoutRealRedis } from '../support/redis.ts'
import { MIN_MESSAGES, runChaos } from './chaos.ts'
import { textOf } from './plan.ts'

const SEEDS = [1, 2, 3, 4, 5, 6]

describe('a gateway on a bad way to Redis', { skip: withoutRealRedis, concurrency: 3 }, () => {
  for (const seed of SEEDS) {
    it(`the gateway accounts for every message, with the faults of seed ${seed}`, async (t) => {
      const { plan, complaints, down, up, sockets } = await runChaos(seed)
      t.diagnostic(`${textOf(plan)}\n  ${sockets} sockets, ${down} messages down, ${up} frames up`)
      assert.deepEqual(complaints, [])
      assert.ok(down > MIN_MESSAGES && up > MIN_MESSAGES, 'the run had traffic')
    })
  }
})
