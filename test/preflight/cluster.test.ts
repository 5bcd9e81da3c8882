import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { preflightReports, sessionAuth, sessionUp } from '../../src/contract/names.ts'
import type { Report } from '../../src/preflight/check.ts'
import { killCommands, run } from '../support/cli.ts'
import { clusterFor, type TestCluster } from '../support/cluster.ts'
import { resultOf } from '../support/preflight.ts'
import { withoutRealRedis } from '../support/redis.ts'
import { atEnd, scopeOf } from '../support/scope.ts'
import { AMPLE_CHECK_TIMEOUT } from '../support/wait.ts'

describe('preflight checks of a cluster', { skip: withoutRealRedis }, () => {
  const suite = scopeOf(after)
  let cluster: TestCluster
  before(async () => {
    cluster = await clusterFor(suite)
    atEnd(suite, killCommands)
  })

  async function doctor(session: string, sharded: boolean) {
    const env = {
      REDIS_CLUSTER_NODES: cluster.addresses,
      REDIS_SHARDED_PUBSUB: String(sharded),
      LISTEN_ADDR: '127.0.0.1:0',
      MAX_CONNECTIONS: '100',
      PREFLIGHT_CHECK_TIMEOUT: AMPLE_CHECK_TIMEOUT,
    }
    const { stdout, stderr } = await run(['doctor', '--json', '--session', session], { env })
    assert.equal(stderr, '')
    return JSON.parse(stdout) as Report & { redis: Record<string, string> }
  }

  for (const sharded of [false, true]) {
    it(`checks pass with ${sharded ? 'sharded' : 'plain'} channels and find an agent on any server`, async () => {
      const client = await cluster.client()
      const sessions = Array.from({ length: 4 }, (_, i) => `s-${sharded}-${i}`)
      for (const session of sessions) await client.set(sessionAuth(session), 'token')
      const missing = await doctor(sessions[0]!, sharded)
      assert.equal(resultOf(missing, 'agent-connection').status, 'fail')
      for (const session of sessions) {
        if (sharded) await client.sSubscribe(sessionUp(session), () => {})
        else await client.subscribe(sessionUp(session), () => {})
      }
      for (const session of sessions) {
        const report = await doctor(session, sharded)
        const bad = report.checks.filter(({ status }) => status === 'fail')
        assert.deepEqual(bad, [])
        for (const name of ['redis-pubsub', 'redis-commands', 'token-store', 'agent-connection', 'session-token'])
          assert.equal(resultOf(report, name).status, 'pass', name)
        assert.match(report.redis.address!, /^cluster 127\.0\.0\.1:/)
      }
      assert.ok((await client.xLen(preflightReports())) >= 5)
    })
  }
})
