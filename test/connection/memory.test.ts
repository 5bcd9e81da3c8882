import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { killCommands, serve } from '../support/cli.ts'
import { watchMemory, withoutProc } from '../support/memory.ts'
import { RawSocket } from '../support/raw.ts'
import { redisFor, type TestRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

/** A gateway in a process of its own, so that its memory is not that of the attacker. */
describe('the memory of a gateway', { skip: withoutProc }, () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  before(async () => {
    redis = await redisFor(suite)
  })
  afterEach(killCommands)

  async function start(env: Record<string, string> = {}) {
    const served = await serve({ REDIS_URL: redis.url, CONNECT_RATE: '0', CONNECT_RATE_PER_IP: '0', ...env })
    const isReady = async () => (await fetch(`${served.http}/ready`).catch(() => undefined))?.status === 200
    await eventually(isReady, 'readiness')
    return { ...served, pid: served.command.child.pid }
  }

  for (const [method, path] of [
    ['GET', '/api/dashboard/websocket/contract/asyncapi'],
    ['GET', '/metrics'],
    ['HEAD', '/health'],
    ['GET', '/no/such/path'],
  ] as const)
    it(`does not grow with the answers to ${method} ${path} that a client does not read`, async () => {
      const { http, pid } = await start()
      const memory = watchMemory(pid)
      const ask = () => `${method} ${path} HTTP/1.1\r\nHost: x\r\n\r\n`
      const attackers = await Promise.all(Array.from({ length: 5 }, () => RawSocket.open(http)))
      for (const { socket } of attackers) socket.pause()
      for (const end = Date.now() + 3000; Date.now() < end; await new Promise((next) => setTimeout(next, 2)))
        for (const raw of attackers) if (!raw.socket.destroyed) raw.write(ask())
      const grown = memory.stop()
      for (const raw of attackers) raw.destroy()
      assert.ok(grown < 60, `the gateway grew by ${grown.toFixed()} MiB`)
    })
})
