import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, afterEach, before, describe, it } from 'node:test'
import { killCommands, serveReady } from '../support/cli.ts'
import { sample } from '../support/gateway.ts'
import { watchMemory, withoutProc } from '../support/memory.ts'
import { killAtExit } from '../support/processes.ts'
import { proxyFor } from '../support/proxy.ts'
import { clientFrame, RawSocket, upgradeRequest } from '../support/raw.ts'
import { redisFor, type TestRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'
import { OPCODE } from '../support/wire.ts'

const KIB = 1024
const MIB = KIB * KIB
const LOG_OUTPUT = new URL('../../src/telemetry/log-output.js', import.meta.url).href

/**
 * Each test sends a multiple of what its bound allows to wait, so a gateway that kept all of it
 * would pass the cap. The gateway is a process of its own: its memory is not that of the attacker.
 */
describe('the memory of a gateway that is flooded', { skip: withoutProc }, () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  before(async () => {
    redis = await redisFor(suite)
  })
  afterEach(killCommands)

  async function start(env: Record<string, string> = {}) {
    const rates = { CONNECT_RATE: '0', CONNECT_RATE_PER_IP: '0', REFUSED_RATE_PER_IP: '0', LIVE_RATE: '0' }
    const served = await serveReady({ REDIS_URL: redis.url, ...rates, ...env })
    return { ...served, pid: served.command.child.pid }
  }

  async function joinLive(http: string): Promise<RawSocket> {
    const raw = await RawSocket.open(http)
    raw.write(upgradeRequest('/live'))
    assert.equal(await raw.status(), 101)
    return raw
  }

  for (const [what, frame] of [
    ['one frame', clientFrame(OPCODE.text, 'x'.repeat(4 * MIB)).subarray(0, -1)],
    [
      'fragments',
      Buffer.concat(Array(64).fill(clientFrame(OPCODE.continuation, 'x'.repeat(64 * KIB), { fin: false }))),
    ],
  ] as const)
    it(`keeps no unfinished message of 4 MiB in ${what}, for each of 60 clients`, async () => {
      const { http, pid } = await start({ MAX_MESSAGE_SIZE: '64KiB' })
      const attackers = await Promise.all(Array.from({ length: 60 }, () => joinLive(http)))
      const memory = watchMemory(pid)
      for (const raw of attackers) {
        if (what === 'fragments') raw.write(clientFrame(OPCODE.text, 'x', { fin: false }))
        await raw.pour(frame)
      }
      await eventually(() => attackers.every((raw) => raw.ended), 'the cuts')
      const grown = memory.stop()
      assert.ok(grown < 90, `the gateway grew by ${grown.toFixed()} MiB of 240`)
    })

  it('keeps nothing of 8,000 upgrades with 14 KiB of headers, which it refuses', async () => {
    const { http, pid } = await start({ TRUST_PROXY: 'x-forwarded-for' })
    const token = 't'.repeat(14 * KIB)
    let sent = 0
    const attack = async () => {
      while (sent < 8000) {
        const raw = await RawSocket.open(http)
        const n = sent++
        const headers = { 'X-Forwarded-For': `10.${n % 200}.${(n >> 8) & 255}.${n & 255}` }
        raw.write(upgradeRequest(`/agent/ws/s${n}`, { ...headers, Authorization: `Bearer ${token}${n}` }))
        await raw.untilClosed()
        assert.match(raw.text, /^HTTP\/1\.1 403 /)
      }
    }
    const memory = watchMemory(pid)
    await Promise.all(Array.from({ length: 20 }, attack))
    const grown = memory.stop()
    assert.ok(grown < 60, `the gateway grew by ${grown.toFixed()} MiB of 110`)
  })

  it('holds no more than UPSTREAM_BUFFER_BYTES of the frames that clients send while Redis is away', async (t) => {
    const proxy = await proxyFor(t, redis.port)
    const { http, pid } = await start({
      REDIS_URL: `redis://127.0.0.1:${proxy.port}`,
      UPSTREAM_BUFFER_BYTES: '8MiB',
      UPSTREAM_BUFFER_MESSAGES: '1000000',
      AUTH_TOKEN_MODE: 'reusable',
      SESSION_RATE: '0',
      SESSION_BYTE_RATE: '0',
    })
    const agent = await redis.client()
    await agent.set('session:flood:auth', 'a-token')
    const raw = await RawSocket.open(http)
    raw.write(upgradeRequest('/agent/ws/flood', { Authorization: 'Bearer a-token' }))
    assert.equal(await raw.status(), 101)
    proxy.cut()
    await eventually(async () => (await fetch(`${http}/health`)).status === 503, 'the outage')
    const memory = watchMemory(pid)
    const frames = Buffer.concat(Array(16).fill(clientFrame(OPCODE.text, JSON.stringify('x'.repeat(60 * KIB)))))
    for (let sent = 0; sent < 200 * MIB; sent += frames.length) await raw.pour(frames)
    const grown = memory.stop()
    const held = sample(await (await fetch(`${http}/metrics`)).text(), 'wsproxy_upstream_held_messages')
    assert.ok(held > 100 && !raw.ended, `${held} frames are held`)
    raw.destroy()
    assert.ok(grown < 80, `the gateway grew by ${grown.toFixed()} MiB of 200`)
  })

  it('keeps 1 MiB of the log lines that nothing reads', async () => {
    const program = `
      const { LogOutput } = await import(${JSON.stringify(LOG_OUTPUT)})
      const output = new LogOutput(1)
      const before = process.memoryUsage().rss
      for (let i = 0; i < 200_000; i++) {
        output.write('x'.repeat(1000) + i + '\\n')
        if (i % 1000 === 0) await new Promise(setImmediate)
      }
      process.stderr.write(String((process.memoryUsage().rss - before) / 2 ** 20))`
    const child = killAtExit(spawn(process.execPath, ['--input-type=module', '-e', program]))
    child.stdout.pause()
    const [grown] = await once(child.stderr, 'data')
    // Its write to the full pipe keeps the child from exiting; the pipe keeps this process alive.
    child.kill('SIGKILL')
    child.stdout.destroy()
    assert.ok(Number(grown) < 60, `the process grew by ${grown} MiB of 200`)
  })
})
