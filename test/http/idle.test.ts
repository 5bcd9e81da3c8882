import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { gatewayFor } from '../support/gateway.ts'
import { RawSocket } from '../support/raw.ts'

/** uWebSockets.js looks every 4 s for connections that were silent for 10 s. */
const CUT_MS = 15_000
const DRIP_MS = 1000

const STARTS: Record<string, string> = {
  nothing: '',
  'half a request line': 'GET /hea',
  'half of its headers': 'GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ',
  'half of an upgrade': 'GET /live HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n',
}

describe('a TCP connection that has sent no whole request', () => {
  it('is cut within 15 s, whatever it has sent of its request', async (t) => {
    const { http, metric } = await gatewayFor(t)
    const openedAt = performance.now()
    const open = async (start: string) => {
      const raw = await RawSocket.open(http)
      t.after(() => raw.destroy())
      if (start !== '') raw.write(start)
      return raw
    }
    const silent = Object.values(STARTS).flatMap((start) => Array.from({ length: 20 }, () => open(start)))
    const dripping = await open(STARTS['half of its headers']!)
    const drip = setInterval(() => dripping.ended || dripping.write('x'), DRIP_MS)
    t.after(() => clearInterval(drip))
    for (const raw of [...(await Promise.all(silent)), dripping]) {
      await raw.untilClosed()
      assert.equal(raw.text, '')
    }
    const tookMs = performance.now() - openedAt
    assert.ok(tookMs < CUT_MS, `${tookMs} ms`)
    assert.equal(await metric('wsproxy_active_connections', { door: 'live' }), 0)
  })
})
