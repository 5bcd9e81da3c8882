import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Topic } from '../../src/connection/bind.ts'
import { Connection, Phase } from '../../src/connection/connection.ts'
import { Closer, type CloserParts } from '../../src/connection/end.ts'
import { closes } from '../../src/contract/codes.ts'
import { sessionDown } from '../../src/contract/names.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually, within } from '../support/wait.ts'
import { listeners, publish, untilOpen } from '../support/wire.ts'

describe('a socket that ends', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite)
  })

  it('unsubscribes the channel of a socket that ends, and logs the code, the side that began, and what passed', async () => {
    const [polite, cut, wrong] = [await gateway.join('ends'), await gateway.join('ends'), await gateway.join('ends')]
    for (const frame of ['"ab"', '{}']) polite.send(frame)
    publish(gateway, 'ends', 'é')
    for (const client of [polite, cut, wrong]) await client.take(1)
    const frames = () => gateway.metric('wsproxy_messages_received_total', { source: 'client' })
    await eventually(async () => (await frames()) === 2, 'both frames')
    polite.socket.close(1000, 'bye')
    await polite.closed
    cut.socket.terminate()
    wrong.socket.send(Buffer.from('binary'))
    await wrong.closed
    await untilOpen(gateway, 0)
    await eventually(async () => (await listeners(gateway, sessionDown('ends'))) === 0, 'the channel to be left')
    const lines = gateway.log.filter(({ event }) => event === 'closed')
    const line = (code: number) => lines.find((each) => each.code === code)
    assert.equal(lines.length, 3)
    const counts = { framesIn: 2, framesOut: 1, bytesIn: 6, bytesOut: 2 }
    for (const [name, value] of Object.entries({ by: 'client', ...counts }))
      assert.equal(line(1000)?.[name], value, name)
    assert.equal(line(1006)?.by, 'client')
    assert.deepEqual([line(1003)?.by, line(1003)?.reason], ['server', 'text frames only'])
    assert.equal(typeof line(1000)?.seconds, 'number')
    const accepted = gateway.log.filter(({ event }) => event === 'accepted').map(({ conn }) => conn)
    assert.deepEqual(new Set(accepted), new Set(lines.map(({ conn }) => conn)))
    assert.equal(new Set(lines.map(({ conn }) => (conn as { id: string }).id)).size, 3)
  })

  it('counts a socket out exactly once, however it ends and however many end at once', async () => {
    const clients = await Promise.all(Array.from({ length: 60 }, (_, i) => gateway.join(`many-${i}`)))
    await untilOpen(gateway, 60)
    for (const [i, { socket }] of clients.entries()) {
      if (i % 4 === 0) socket.terminate()
      else if (i % 4 === 1) socket.close()
      else if (i % 4 === 2) socket.send(Buffer.from('binary'))
      else {
        // Both ends at the same time.
        socket.send(Buffer.from('binary'))
        socket.close()
      }
    }
    for (const client of clients) await within(client.closed, 'the close')
    await untilOpen(gateway, 0)
    await (await gateway.join('one-more')).close()
    await untilOpen(gateway, 0)
  })
})

describe('the members of a topic that end together', () => {
  it('end at once while their upgrade is under way, and one after the other where they are open', async () => {
    const members: Connection[] = []
    const leaveAll = (connection: Connection) => void members.splice(members.indexOf(connection), 1)
    const parts = { bindings: { leaveAll }, delivery: { flush: () => {} }, slowCloseGraceMs: 0 }
    const closer = new Closer(parts as unknown as CloserParts)
    const codes: number[] = []
    const door = { goodbye: () => undefined } as never
    for (let i = 0; i < 6; i++) {
      const connection = new Connection(door, 's', '127.0.0.1', 0)
      if (i % 2 === 0) connection.open({ end: (code: number) => codes.push(code) } as never, 0)
      members.push(connection)
    }
    const [first, upgrading, second] = members
    closer.endMembers({ members } as unknown as Topic, closes.forbidden)
    assert.deepEqual([first?.phase, upgrading?.phase, second?.phase], [Phase.ending, Phase.closed, Phase.open])
    assert.equal(members.length, 2)
    await eventually(() => members.length === 0, 'the others')
    assert.deepEqual(codes, [4403, 4403, 4403])
  })
})
