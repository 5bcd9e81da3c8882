import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { killCommands } from '../support/cli.ts'
import { withoutRealRedis } from '../support/redis.ts'
import { attack } from './attack.ts'

const SEED = 1
const INPUTS = 2000
/** What a process may grow by in so short a time without a leak. */
const GROWTH_BYTES = 24 * 1024 * 1024

describe('a gateway that is sent garbage', { skip: withoutRealRedis }, () => {
  after(killCommands)

  it(`the gateway survives ${INPUTS} bad requests and frames and serves its other clients meanwhile`, async (t) => {
    const { published, arrived, standing, open, internalErrors, warmBytes, endBytes } = await attack(SEED, INPUTS)
    t.diagnostic(`${Math.round(warmBytes / 1e6)} MB when warm, ${Math.round(endBytes / 1e6)} MB at the end`)
    assert.ok(standing)
    assert.equal(arrived, published)
    assert.equal(open, 0)
    assert.equal(internalErrors, 0)
    assert.ok(endBytes < warmBytes + GROWTH_BYTES, `${warmBytes} to ${endBytes} bytes`)
  })
})
