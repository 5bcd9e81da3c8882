import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { killCommands, serveReady } from '../support/cli.ts'
import { sample } from '../support/gateway.ts'
import { watchMemory, withoutProc } from '../support/memory.ts'
import { clientFrame, RawSocket, upgradeRequest } from '../support/raw.ts'
import { redisFor, type TestRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'
import { OPCODE } from '../support/wire.ts'

const MIB = 1024 ** 2

const closes = async (http: string) =>
  sample(await (await fetch(`${http}/metrics`)).text(), 'wsproxy_buffer_budget_closes_total')

/** A gateway in a process of its own, so that its memory is not that of the attacker. */
describe('the memory of a gateway', { skip: withoutProc }, () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  before(async () => {
    redis = await redisFor(suite)
  })
  afterEach(killCommands)

  async function start(env: Record<string, string> = {}) {
    const served = await serveReady({ REDIS_URL: redis.url, CONNECT_RATE: '0', CONNECT_RATE_PER_IP: '0', ...env })
    return { ...served, pid: served.command.child.pid }
  }

  it('does not grow with the pongs of a client that sends pings and does not read', async () => {
    const { http, pid } = await start({ LIVE_RATE: '0' })
    const raw = await RawSocket.open(http)
    raw.write(upgradeRequest('/live'))
    assert.equal(await raw.status(), 101)
    raw.socket.pause()
    const memory = watchMemory(pid)
    const pings = Buffer.concat(Array.from({ length: 4000 }, () => clientFrame(OPCODE.ping, Buffer.alloc(125))))
    for (let sent = 0; sent < 100 * MIB && !raw.ended; sent += pings.length)
      if (!raw.socket.write(pings)) await new Promise((resolve) => raw.socket.once('drain', resolve))
    const grown = memory.stop()
    raw.destroy()
    assert.ok(grown < 40, `the gateway grew by ${grown.toFixed()} MiB`)
  })

  it('stays within MAX_BUFFERED_BYTES with 300 clients that do not read', async () => {
    const { http, pid } = await start({ MAX_BUFFERED_BYTES: '32MiB' })
    const readers = await Promise.all(Array.from({ length: 300 }, () => RawSocket.open(http)))
    for (const raw of readers) raw.write(upgradeRequest('/live?subscriptions=system'))
    for (const raw of readers) assert.equal(await raw.status(), 101)
    for (const { socket } of readers) socket.pause()
    const memory = watchMemory(pid)
    const agent = await redis.client()
    const message = JSON.stringify({ a: 'x'.repeat(256 * 1024) })
    for (let i = 0; i < 80; i++) await agent.publish('live:system', message)
    await eventually(async () => (await closes(http)) >= 100, 'closes for the budget')
    const grown = memory.stop()
    for (const raw of readers) raw.destroy()
    assert.ok(grown < 150, `the gateway grew by ${grown.toFixed()} MiB`)
  })

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
