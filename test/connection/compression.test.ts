import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import {
  COMPRESSED_BURST_BYTES,
  COMPRESSED_BYTES_PER_SECOND,
  Compression,
  MAX_COMPRESSED_BYTES,
  MIN_COMPRESSED_BYTES,
} from '../../src/connection/compression.ts'
import { VirtualClock } from '../support/clock.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { live, tell } from '../support/live.ts'
import { RawSocket, upgradeRequest } from '../support/raw.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'
import { framesOf } from '../support/wire.ts'

const KIB = 1024

describe('the compression of frames', () => {
  it('takes frames up to a size and a rate, and again when time has passed', (t) => {
    const clock = new VirtualClock()
    t.after(() => clock.restore())
    const compression = new Compression()
    assert.equal(compression.takes(MAX_COMPRESSED_BYTES + 1), false)
    assert.equal(compression.takes(MIN_COMPRESSED_BYTES - 1), false)
    let taken = 0
    while (compression.takes(MAX_COMPRESSED_BYTES)) taken += MAX_COMPRESSED_BYTES
    assert.ok(taken > COMPRESSED_BURST_BYTES * 0.8 && taken <= COMPRESSED_BURST_BYTES, `${taken}`)
    clock.now = 1000
    assert.equal(compression.takes(MAX_COMPRESSED_BYTES), true)
  })

  it('counts many small frames as well: each costs the set-up', (t) => {
    const clock = new VirtualClock()
    t.after(() => clock.restore())
    const compression = new Compression()
    let frames = 0
    while (compression.takes(MIN_COMPRESSED_BYTES)) frames++
    assert.ok(frames < 400, `${frames} frames at once`)
  })
})

describe('a live door that compresses', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    const env = { LIVE_COMPRESSION: 'true', LIVE_TOPICS: 'news', LIVE_RATE: '0', MAX_BUFFERED_BYTES: '256MiB' }
    gateway = await gatewayFor(suite, { env: { ...env, MAX_BUFFER_SIZE_BYTES: '64MiB' } })
  })
  const text = (n: number, bytes: number) => `${n} `.repeat(Math.ceil(bytes / `${n} `.length)).slice(0, bytes)

  it('reaches a client that keeps its context, with frames that are compressed and frames that are not', async () => {
    const perMessageDeflate = { serverNoContextTakeover: false, clientNoContextTakeover: false, threshold: 0 }
    const client = await live(gateway, '/live?subscriptions=news', { perMessageDeflate })
    assert.match(client.socket.extensions, /permessage-deflate/)
    const sizes = [10, 200_000, 5000, 127 * KIB, 129 * KIB, 60_000, 300_000, 1]
    const messages = Array.from({ length: 120 }, (_, n) => text(n, sizes[n % sizes.length]!))
    for (const [n, message] of messages.entries()) {
      await tell(gateway, 'live:news', { n, message })
      // The client compresses what it sends with the context of its earlier frames.
      client.send({ type: 'ping', client_time: n })
    }
    await client.find({ type: 'pong', client_time: messages.length - 1 })
    await eventually(() => client.values.filter(({ type }) => type === 'news_update').length === messages.length, 'all')
    const got = client.values.filter(({ type }) => type === 'news_update').map(({ data }) => data)
    assert.deepEqual(
      got,
      messages.map((message, n) => ({ n, message })),
    )
    await client.close()
  })

  it('compresses no more than its bytes a second, whatever comes for however many sockets', async (t) => {
    const [SOCKETS, BYTES, MESSAGES] = [50, 100 * KIB, 30]
    const raws = await Promise.all(Array.from({ length: SOCKETS }, () => RawSocket.open(gateway.http)))
    t.after(() => raws.forEach((raw) => void raw.destroy()))
    const headers = { 'Sec-WebSocket-Extensions': 'permessage-deflate' }
    for (const raw of raws) raw.write(upgradeRequest('/live?subscriptions=news', headers))
    for (const raw of raws) assert.match(await raw.head(), /permessage-deflate/)
    const startedAt = performance.now()
    for (let n = 0; n < MESSAGES; n++) await tell(gateway, 'live:news', { message: text(n, BYTES) })
    await tell(gateway, 'live:news', { message: text(0, MAX_COMPRESSED_BYTES + 1) })
    // The greeting, the messages, and the large one.
    await eventually(() => raws.every((raw) => framesOf(raw).length === MESSAGES + 2), 'all frames')
    const seconds = (performance.now() - startedAt) / 1000
    const messages = raws.flatMap((raw) => framesOf(raw).slice(1))
    const compressed = messages.filter((frame) => frame.compressed).length
    assert.ok(compressed > 0)
    const most = COMPRESSED_BURST_BYTES + COMPRESSED_BYTES_PER_SECOND * seconds
    assert.ok(compressed * BYTES <= most, `${compressed} frames in ${seconds} s`)
    for (const raw of raws) assert.equal(framesOf(raw).at(-1)!.compressed, false)
    for (const { payload } of messages.filter((frame) => !frame.compressed)) JSON.parse(String(payload))
  })
})
