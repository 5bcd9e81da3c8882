import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { killCommands, run, serve } from '../support/cli.ts'
import { freePort } from '../support/ports.ts'
import { redisFor, type TestRedis } from '../support/redis.ts'
import { atEnd, scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

describe('wsproxy health', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let env: { LISTEN_ADDR: string }
  before(async () => {
    redis = await redisFor(suite)
    const { http } = await serve({ REDIS_URL: redis.url, LISTEN_ADDR: '0.0.0.0:0' })
    env = { LISTEN_ADDR: `0.0.0.0:${new URL(http).port}` }
    await eventually(async () => (await fetch(`${http}/ready`)).ok, 'the gateway to be ready')
    atEnd(suite, killCommands)
  })

  it('health prints the answer of the gateway at LISTEN_ADDR with status 0', async () => {
    const { status, stdout } = await run(['health'], { env })
    assert.equal(JSON.parse(stdout).status, 'healthy')
    assert.equal(status, 0)
  })

  it('health fails without a gateway and names the address, also with --alive', async () => {
    const port = await freePort()
    for (const args of [['health'], ['health', '--alive']]) {
      const { status, stderr } = await run(args, { env: { LISTEN_ADDR: `:${port}` } })
      assert.equal(status, 1)
      assert.match(stderr, new RegExp(`^no answer from http://127.0.0.1:${port}/health: .*ECONNREFUSED`))
    }
  })

  it('health fails while Redis is away; health --alive does not', async () => {
    await redis.stop()
    await eventually(async () => (await run(['health'], { env })).status === 1, 'it to fail')
    const { status, stdout } = await run(['health', '--alive'], { env })
    assert.equal(status, 0)
    assert.equal(JSON.parse(stdout).status, 'unhealthy')
  })
})
