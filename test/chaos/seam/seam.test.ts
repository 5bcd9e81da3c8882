import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { withoutRealRedis } from '../../support/redis.ts'
import { type GroundName, seamPlanOf, seamTextOf } from './plan.ts'
import { runSeam } from './run.ts'

const RUNS: readonly (readonly [GroundName, seed: number, steps: number])[] = [
  ['sentinel', 4, 3],
  ['plain', 168, 6],
  ['plain', 559, 6],
  ['cluster', 3, 6],
  ['sharded', 1, 6],
]

describe('clients of wsproxy.v2 that come back', { skip: withoutRealRedis, concurrency: 3 }, () => {
  for (const [ground, seed, steps] of RUNS) {
    it(`get every message once and in order, or hear of it, on ${ground} with the faults of seed ${seed}`, async (t) => {
      const plan = seamPlanOf(seed, ground, steps)
      const { complaints, said, connections, lost, told, duplicated, reordered } = await runSeam(plan)
      const sums = `lost ${lost} = told ${told}, duplicated ${duplicated}, reordered ${reordered}`
      t.diagnostic(`${seamTextOf(plan)}\n  ${said} messages, ${connections} connections: ${sums}`)
      assert.deepEqual(complaints, [])
      assert.deepEqual([lost, duplicated, reordered], [told, 0, 0])
      assert.ok(said > 100, 'the run had traffic')
    })
  }
})
