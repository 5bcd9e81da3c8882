import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { liveChannels, sessionDown } from '../../src/contract/names.ts'
import type { TestClient } from '../support/client.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { live } from '../support/live.ts'
import type { Scope } from '../support/scope.ts'
import { eventually, within } from '../support/wait.ts'

const MiB = 1024 ** 2
/** More than the kernel takes for a client that does not read. */
const KERNEL_MIB = 8

/** Sockets that do not read, each with about `unsentMib` in the gateway. */
async function slowReaders(gateway: TestGateway, unsentMib: readonly number[]): Promise<TestClient[]> {
  const clients: TestClient[] = []
  for (const [i, mib] of unsentMib.entries()) {
    const client = await gateway.join(`slow-${i}`)
    client.socket.pause()
    await gateway.agent.publish(sessionDown(`slow-${i}`), 'x'.repeat((KERNEL_MIB + mib) * MiB))
    clients.push(client)
  }
  return clients
}

const start = (t: Scope, env: Record<string, string>) =>
  gatewayFor(t, { env: { MAX_DOWN_MESSAGE_BYTES: '64MiB', SLOW_CLOSE_GRACE: '60s', ...env } })

const unsent = (gateway: TestGateway) => gateway.metric('wsproxy_buffer_utilization_bytes_sum')
const budgetCloses = (gateway: TestGateway) => gateway.metric('wsproxy_buffer_budget_closes_total')

describe('the unsent bytes of all sockets', () => {
  it('are counted while they wait, and not when they have left or their socket is gone', async (t) => {
    const gateway = await start(t, {})
    const [reads, leaves] = await slowReaders(gateway, [4, 8])
    await eventually(async () => (await unsent(gateway)) > 12 * MiB, 'unsent bytes of both')
    leaves!.socket.terminate()
    await eventually(async () => (await unsent(gateway)) < 12 * MiB, 'fewer unsent bytes')
    reads!.socket.resume()
    await reads!.take(1)
    await eventually(async () => (await unsent(gateway)) === 0, 'no unsent bytes')
    assert.equal(await budgetCloses(gateway), 0)
    await reads!.close()
  })

  it('close the socket that holds the most with 1008 when they pass MAX_BUFFERED_BYTES, and no other', async (t) => {
    const gateway = await start(t, { MAX_BUFFER_SIZE_BYTES: '64MiB', MAX_BUFFERED_BYTES: '16MiB' })
    const [largest, other] = [await gateway.join('largest'), await gateway.join('other')]
    for (const { socket } of [largest, other]) socket.pause()
    const feed = (session: string) => gateway.agent.publish(sessionDown(session), 'x'.repeat(MiB / 2))
    await eventually(async () => {
      await feed('largest')
      return (await unsent(gateway)) > 9 * MiB
    }, 'unsent bytes of one socket')
    await eventually(async () => {
      await feed('other')
      return (await budgetCloses(gateway)) > 0
    }, 'a close')
    largest.socket.resume()
    assert.deepEqual(await within(largest.closed, 'the close'), { code: 1008, reason: 'client too slow' })
    other.socket.resume()
    await eventually(async () => (await unsent(gateway)) === 0, 'no unsent bytes')
    assert.equal(await budgetCloses(gateway), 1)
    const line = gateway.log.find(({ event }) => event === 'buffer-budget')
    assert.deepEqual([line?.maxBytes, line?.closed, line?.cut], [16 * MiB, 1, 0])
    await other.close()
  })

  it('are freed without the grace when they are a quarter over MAX_BUFFERED_BYTES', async (t) => {
    const gateway = await start(t, { MAX_BUFFERED_BYTES: '4MiB' })
    const [client] = await slowReaders(gateway, [12])
    await eventually(async () => (await budgetCloses(gateway)) === 1, 'the close')
    assert.equal(await unsent(gateway), 0)
    client!.socket.resume()
    assert.equal((await within(client!.closed, 'the cut')).code, 1006)
  })
})

describe('a message that is larger than MAX_DOWN_MESSAGE_BYTES', () => {
  it('goes to no socket, closes none, and sends each socket of its session a gap with that reason', async (t) => {
    const gateway = await gatewayFor(t, { env: { MAX_DOWN_MESSAGE_BYTES: '1KiB' } })
    const clients = [await gateway.join('large'), await gateway.join('large')]
    for (const message of ['x'.repeat(1024), 'y'.repeat(1025), 'y'.repeat(2000), 'after'])
      await gateway.agent.publish(sessionDown('large'), message)
    for (const client of clients) {
      const [first, gap, , last] = await client.take(4)
      assert.deepEqual([first, last], ['x'.repeat(1024), 'after'])
      const { type, command, reason } = JSON.parse(String(gap))
      assert.deepEqual({ type, command, reason }, { type: 'control', command: 'gap', reason: 'oversize_down' })
      await client.close()
    }
    assert.equal(await gateway.metric('wsproxy_lost_messages_total', { reason: 'oversize_down' }), 2)
    const lines = gateway.log.filter(({ event }) => event === 'message-too-large')
    assert.deepEqual(
      lines.map(({ channel, bytes, maxBytes }) => ({ channel, bytes, maxBytes })),
      [{ channel: sessionDown('large'), bytes: 1025, maxBytes: 1024 }],
    )
  })

  it('sends live sockets of its topic the error message-lost', async (t) => {
    const gateway = await gatewayFor(t, { env: { MAX_DOWN_MESSAGE_BYTES: '1KiB' } })
    const client = await live(gateway, '/live?subscriptions=system')
    await gateway.agent.publish(liveChannels('system')[0]!, JSON.stringify({ a: 'x'.repeat(2000) }))
    const { message } = await client.find({ type: 'error', code: 'message-lost' })
    assert.match(String(message), /system/)
    await gateway.agent.publish(liveChannels('system')[0]!, '{"after":1}')
    await client.find({ subscription: 'system' })
    assert.equal(await gateway.metric('wsproxy_lost_messages_total', { reason: 'oversize_down' }), 1)
    await client.close()
  })
})
