import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { it } from 'node:test'
import { gatewayFor, type TestGateway } from '../../support/gateway.ts'
import { say } from '../../support/numbered.ts'
import { atEnd, type Scope } from '../../support/scope.ts'
import { eventually } from '../../support/wait.ts'

const ADMIN_TOKEN = 'an-admin-token-of-a-test'
const MIB = 1024 * 1024

/** Opens a reader of the stream `slow` that reads nothing. */
function openPaused(scope: Scope, { http }: TestGateway): Socket {
  const socket = connect(Number(new URL(http).port), '127.0.0.1')
  atEnd(scope, () => socket.destroy())
  socket.on('error', () => {})
  socket.pause()
  const head = ['GET /a/stream/slow?offset=-1&live=sse HTTP/1.1', 'Host: x', `Authorization: Bearer ${ADMIN_TOKEN}`]
  socket.write(`${head.join('\r\n')}\r\n\r\n`)
  return socket
}

it('a reader that does not read is counted as long as it is there', async (t) => {
  const gateway = await gatewayFor(t, { env: { ADMIN_TOKEN } })
  const text = JSON.stringify('x'.repeat(MIB - 2))
  for (let i = 0; i < 16; i++) await say(gateway.agent, 'slow', text)
  const lagging = () => gateway.metric('wsproxy_sse_lagging')
  assert.equal(await lagging(), 0)
  const socket = openPaused(t, gateway)
  await eventually(async () => (await lagging()) === 1, 'the reader to lag')
  socket.destroy()
  await eventually(async () => (await lagging()) === 0, 'no reader to lag')
})

it('the gateway holds one part for a reader that does not read', async (t) => {
  const gateway = await gatewayFor(t, { env: { ADMIN_TOKEN } })
  const text = JSON.stringify('x'.repeat(MIB - 2))
  for (let i = 0; i < 12; i++) await say(gateway.agent, 'slow', text)
  const readers = 20
  const before = process.memoryUsage().rss
  const received = async () => gateway.metric('wsproxy_messages_sent_total', { door: 'stream' })
  for (let i = 0; i < readers; i++) {
    openPaused(t, gateway)
    // All at once would ask Redis for 20 MiB in one moment, which a busy machine takes for a loss.
    await eventually(async () => (await received()) > i, 'the first parts')
  }
  const accepted = () => gateway.metric('wsproxy_connections_total', { door: 'stream', result: 'accepted' })
  await eventually(async () => (await accepted()) === readers, 'all readers')
  // A reader takes what the kernel takes for it and one part more; all of the log is 12 parts.
  await eventually(async () => (await received()) >= readers, 'the first parts')
  const grown = process.memoryUsage().rss - before
  assert.ok((await received()) < readers * 10, `${await received()} messages for ${readers} readers`)
  assert.ok(grown < readers * 8 * MIB, `${Math.round(grown / MIB)} MiB`)
})
