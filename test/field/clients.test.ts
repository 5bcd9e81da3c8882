import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sessionDown } from '../../src/contract/names.ts'
import type { TestClient } from '../support/client.ts'
import { gatewayFor, sample, type TestGateway } from '../support/gateway.ts'
import { clientFrame, RawSocket, upgradeRequest } from '../support/raw.ts'
import { atEnd, scopeOf } from '../support/scope.ts'
import { eventually, within } from '../support/wait.ts'

const ADMIN_TOKEN = 'admin-token-of-the-field'
const PING = 9
const PONG = 10
const CLOSE = 8
const TEXT = 1

describe('what clients have done to other gateways', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  let witness: TestClient
  before(async () => {
    const env = { ADMIN_TOKEN, PING_INTERVAL: '1s', PONG_TIMEOUT: '3s' }
    gateway = await gatewayFor(suite, { env })
    witness = await gateway.join('witness')
  })

  async function open(session: string, behind: string | Buffer = ''): Promise<RawSocket> {
    await gateway.token(session, 'token')
    const raw = await RawSocket.open(gateway.http)
    atEnd(suite, () => raw.destroy())
    const request = upgradeRequest(`/a/ws/${session}`, { Authorization: 'Bearer token' })
    raw.write(Buffer.concat([Buffer.from(request), Buffer.from(behind)]))
    return raw
  }

  /** The process lives, and another client is served. */
  async function othersAreServed(mark: string): Promise<void> {
    await gateway.agent.publish(sessionDown('witness'), JSON.stringify({ mark }))
    await witness.find({ mark })
    assert.equal(gateway.log.filter(({ level }) => level === 'error' || level === 'fatal').length, 0)
  }

  const frames: [string, string, Buffer][] = [
    ['a close frame with code 1006', 'websockets/ws 1825', clientFrame(CLOSE, Buffer.from([0x03, 0xee]))],
    ['a close frame with code 22373', 'websockets/ws 1916', clientFrame(CLOSE, Buffer.from([0x57, 0x65]))],
    ['a compressed frame that was not agreed', 'websockets/ws 1777', clientFrame(TEXT, '{}', { rsv: 4 })],
    ['a frame with RSV2 and RSV3', 'websockets/ws 2170', clientFrame(TEXT, '{}', { rsv: 3 })],
    ['a frame with an unknown opcode', 'websockets/ws 679', clientFrame(5, '')],
  ]
  for (const [what, report, bytes] of frames) {
    it(`${what} ends its own socket and nothing else (${report})`, async () => {
      const raw = await open('frames')
      assert.equal(await raw.status(), 101)
      raw.write(bytes)
      await raw.untilClosed()
      await othersAreServed(report)
    })
  }

  it('an unmasked frame harms no other socket (websockets/ws 1716)', async () => {
    const raw = await open('unmasked')
    assert.equal(await raw.status(), 101)
    raw.write(clientFrame(TEXT, '{"type":"ping"}', { masked: false }))
    await othersAreServed('unmasked')
    raw.destroy()
  })

  it('a line break behind the upgrade request is no crash (websockets/ws 1417)', async () => {
    const raw = await open('behind', '\r\n')
    await raw.head()
    await othersAreServed('behind')
    raw.destroy()
  })

  it('a pong and a text frame without a payload leave the socket open (att/rcloud 490)', async () => {
    const client = await gateway.join('empty')
    client.socket.pong()
    client.socket.send('')
    await client.find({ type: 'error', code: 'invalid-json' })
    client.send({ type: 'ping' })
    await client.find({ type: 'pong' })
    await client.close()
  })

  it('pings of the protocol keep a socket alive whose client sends nothing else (soketi/soketi 841)', async () => {
    const raw = await open('pings')
    assert.equal(await raw.status(), 101)
    const timer = setInterval(() => raw.write(clientFrame(PING, 'p')), 250)
    atEnd(suite, () => clearInterval(timer))
    // A pong of the gateway for each ping of 4.5 s, which is more than PONG_TIMEOUT.
    const pongs = () => raw.text.split('\x8a\x01p').length - 1
    await eventually(() => pongs() >= 18 || raw.ended, 'the pongs')
    assert.equal(raw.ended, false)
    clearInterval(timer)
    raw.destroy()
  })

  it('a client that is silent for good is closed and counted out (eclipse-mosquitto/mosquitto 74)', async () => {
    const raw = await open('silent')
    assert.equal(await raw.status(), 101)
    await raw.untilClosed()
    assert.match(raw.text, /nothing heard from you/)
    raw.write(clientFrame(PONG, ''))
  })

  it('clients that close their half of the connection leave nothing behind (dunglas/mercure 259)', async () => {
    const raws = await Promise.all(Array.from({ length: 50 }, (_, i) => open(`half-${i}`)))
    for (const raw of raws) assert.equal(await raw.status(), 101)
    for (const raw of raws) raw.socket.end()
    await Promise.all(raws.map((raw) => raw.untilClosed()))
    await eventually(
      async () => (await gateway.metric('wsproxy_active_connections', { door: 'session' })) === 1,
      'one socket, that of the witness',
    )
  })

  it('the connection of a refused upgrade does not stay open (http-party/node-http-proxy 783)', async () => {
    const raw = await RawSocket.open(gateway.http)
    raw.write(upgradeRequest('/a/ws/refused', { Authorization: 'Bearer wrong' }))
    assert.equal(await raw.status(), 403)
    await raw.untilClosed()
  })

  it('a request line without a path is answered and harms nothing (websockets/ws 386)', async () => {
    const raw = await RawSocket.open(gateway.http)
    raw.write(upgradeRequest('', {}, 'GET ?sessionId=1 HTTP/1.1'))
    assert.ok((await raw.status()) !== 101)
    await raw.untilClosed()
    await othersAreServed('no path')
  })

  it('a browser that sends its token as a subprotocol gets the other one back, as Chrome demands (zeroclaw-labs/zeroclaw 2715)', async () => {
    await gateway.token('protocol', 'token')
    const bearer = `bearer.${Buffer.from('token').toString('base64url')}`
    const raw = await RawSocket.open(gateway.http)
    raw.write(upgradeRequest('/a/ws/protocol', { 'Sec-WebSocket-Protocol': `wsproxy.v1, ${bearer}` }))
    assert.match(await raw.head(), /^HTTP\/1\.1 101[\s\S]*sec-websocket-protocol: wsproxy\.v1\r\n/i)
    assert.ok(!raw.text.includes(bearer))
    raw.destroy()
  })

  it('a server can close the socket of a client that goes on talking (fastly/pushpin 47624)', async () => {
    const client = await gateway.join('talking')
    client.send('{"still":"here"}')
    const response = await fetch(`${gateway.http}/api/admin/disconnect`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
      body: '{"session":"talking"}',
    })
    assert.match(await response.text(), /"closed":1,/)
    assert.equal((await within(client.closed, 'the close')).code, 4403)
  })

  it('paths that strangers invent make no series of the metrics (apache/shenyu 6671)', async () => {
    const page = async () => (await fetch(`${gateway.http}/metrics`)).text()
    const series = (text: string) => text.split('\n').filter((line) => line.startsWith('wsproxy_')).length
    const first = series(await page())
    for (let i = 1; i <= 100; i++) {
      const raw = await RawSocket.open(gateway.http)
      raw.write(upgradeRequest(`/x${i}/y/z${i}/${'p'.repeat(i)}`))
      assert.equal(await raw.status(), 404)
    }
    const text = await page()
    assert.equal(series(text), first)
    assert.equal(sample(text, 'wsproxy_connections_total', { door: 'none', result: 'not-found' }), 100)
  })
})
