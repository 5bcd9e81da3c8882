import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { connect, refused } from '../../support/client.ts'
import { gatewayFor } from '../../support/gateway.ts'
import { hashReads } from '../../support/runs.ts'
import { scopeOf } from '../../support/scope.ts'

describe('RUN_KEY_PREFIX', () => {
  const suite = scopeOf(after)

  it('opens ids that begin with it, and refuses others with 400 without reading their key', async () => {
    const gateway = await gatewayFor(suite, { env: { RUN_KEY_PREFIX: 'run-', RUN_RESYNC_INTERVAL: '0' } })
    await gateway.agent.hSet('secrets', 'attrs:has_sbs', 'true')
    const reads = (await hashReads(gateway.agent)).done
    for (const id of ['secrets', 'Run-1', 'arun-1', 'run']) {
      const { status, code, message } = await refused(`${gateway.url}/${id}`)
      assert.deepEqual([status, code], [400, 'malformed-id'], id)
      assert.match(message, /run-.*RUN_KEY_PREFIX/)
    }
    assert.equal((await hashReads(gateway.agent)).done, reads)
    const run = await connect(`${gateway.url}/run-a%40b%3Bc/`)
    await run.take(1)
    await gateway.agent.hSet('run-a@b;c', 'last_modified', '5')
    await run.find({ last_modified: 5 })
    await run.close()
  })
})
