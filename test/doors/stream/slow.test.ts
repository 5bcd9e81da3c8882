import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { it } from 'node:test'
import { gatewayFor } from '../../support/gateway.ts'
import { say } from '../../support/numbered.ts'
import { atEnd } from '../../support/scope.ts'
import { eventually } from '../../support/wait.ts'

const ADMIN_TOKEN = 'an-admin-token-of-a-test'
const MIB = 1024 * 1024

it('the gateway holds one part for a reader that does not read', async (t) => {
  const gateway = await gatewayFor(t, { env: { ADMIN_TOKEN } })
  const text = JSON.stringify('x'.repeat(MIB - 2))
  for (let i = 0; i < 12; i++) await say(gateway.agent, 'slow', text)
  const readers = 20
  const before = process.memoryUsage().rss
  for (let i = 0; i < readers; i++) {
    const socket = connect(Number(new URL(gateway.http).port), '127.0.0.1')
    atEnd(t, () => socket.destroy())
    socket.on('error', () => {})
    socket.pause()
    const head = ['GET /a/stream/slow?offset=-1&live=sse HTTP/1.1', 'Host: x', `Authorization: Bearer ${ADMIN_TOKEN}`]
    socket.write(`${head.join('\r\n')}\r\n\r\n`)
  }
  const accepted = () => gateway.metric('wsproxy_connections_total', { door: 'stream', result: 'accepted' })
  await eventually(async () => (await accepted()) === readers, 'all readers')
  const received = async () => gateway.metric('wsproxy_messages_sent_total', { door: 'stream' })
  // A reader takes what the kernel takes for it and one part more; all of the log is 12 parts.
  await eventually(async () => (await received()) >= readers, 'the first parts')
  const grown = process.memoryUsage().rss - before
  assert.ok((await received()) < readers * 10, `${await received()} messages for ${readers} readers`)
  assert.ok(grown < readers * 8 * MIB, `${Math.round(grown / MIB)} MiB`)
})
