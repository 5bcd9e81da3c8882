import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, describe, it } from 'node:test'
import { parse } from 'yaml'
import { killCommands, serve } from '../support/cli.ts'
import { sample } from '../support/gateway.ts'
import { watchMemory, withoutProc } from '../support/memory.ts'
import { RawSocket, upgradeRequest } from '../support/raw.ts'
import { redisFor } from '../support/redis.ts'
import { eventually } from '../support/wait.ts'

/** The memory limit of a pod in k8s/base, and the default of MAX_BUFFERED_BYTES in it. */
const POD_MIB = 512
const BUFFERED = `${POD_MIB / 4}MiB`
const READERS = 1000
const MESSAGE_BYTES = 64 * 1024
/** More than the kernel and the gateway take for a client that does not read. */
const MESSAGES = 110

/** The settings of k8s/base that are about memory. */
function podSettings(): Record<string, string> {
  const { data } = parse(readFileSync('k8s/base/configmap.yaml', 'utf8')) as { data: Record<string, string> }
  const names = ['MAX_CONNECTIONS', 'MAX_CONNECTIONS_PER_IP', 'MAX_BUFFER_SIZE_BYTES']
  return Object.fromEntries(names.map((name) => [name, data[name]!]))
}

describe('a gateway with the settings and the memory of a pod', { skip: withoutProc }, () => {
  after(killCommands)

  it(`stays below ${POD_MIB} MiB while ${READERS} clients do not read, and answers /health`, async (t) => {
    const redis = await redisFor(t)
    const limits = { ...podSettings(), MAX_BUFFERED_BYTES: BUFFERED, CONNECT_RATE: '0', CONNECT_RATE_PER_IP: '0' }
    const { http, command } = await serve({ REDIS_URL: redis.url, ...limits })
    const status = async () => (await fetch(`${http}/health`)).status
    await eventually(async () => (await status()) === 200, 'health')
    const memory = watchMemory(command.child.pid)
    const readers: RawSocket[] = []
    t.after(() => {
      memory.stop()
      for (const raw of readers) raw.destroy()
    })
    while (readers.length < READERS) {
      const some = await Promise.all(Array.from({ length: 100 }, () => RawSocket.open(http)))
      for (const raw of some) raw.write(upgradeRequest('/live?subscriptions=system'))
      for (const raw of some) assert.equal(await raw.status(), 101)
      for (const { socket } of some) socket.pause()
      readers.push(...some)
    }
    const agent = await redis.client()
    for (let n = 0; n < MESSAGES; n++)
      await agent.publish('live:system', JSON.stringify({ n, a: 'x'.repeat(MESSAGE_BYTES) }))
    await eventually(async () => {
      const page = await (await fetch(`${http}/metrics`)).text()
      const full = sample(page, 'wsproxy_backpressure_events_total', { stage: 'full' })
      return full + sample(page, 'wsproxy_buffer_budget_closes_total') >= READERS / 2
    }, 'closes of slow readers')
    assert.equal(await status(), 200)
    const most = memory.most()
    assert.ok(most < POD_MIB * 0.9, `the gateway had ${most.toFixed()} MiB`)
  })
})
