import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { ProxyHeaderReader } from '../../src/platform/proxy-header.ts'
import { balancerFor, balancers, without } from '../support/balancer.ts'
import { connect } from '../support/client.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { RawSocket, upgradeRequest } from '../support/raw.ts'
import { redisFor, type TestRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const PORTS = [0x9c, 0x40, 0x1f, 0x90]
const v4 = (last: number) => Buffer.from([203, 0, 113, last, 10, 0, 0, 1, ...PORTS])
const v6 = (last: number) => {
  const bytes = Buffer.alloc(36)
  bytes.set([0x20, 1, 0x0d, 0xb8, 0, last])
  bytes.set(PORTS, 32)
  return bytes
}
const tlv = (type: number, bytes: number) =>
  Buffer.concat([Buffer.from([type, bytes >> 8, bytes & 255]), Buffer.alloc(bytes)])

function header(payload: Buffer, { command = 0x21, family = 0x11, length = payload.length } = {}): Buffer {
  return Buffer.concat([SIGNATURE, Buffer.from([command, family, length >> 8, length & 255]), payload])
}

const READY = Buffer.from('GET /ready HTTP/1.1\r\nHost: x\r\n\r\n')
/** What an AWS network load balancer writes: CRC32C, its endpoint, and padding. */
const NLB = [tlv(3, 4), tlv(0xea, 23), tlv(4, 62)]

describe('the reader of PROXY headers', () => {
  const read = (bytes: Buffer, chunk: number) => {
    const reader = new ProxyHeaderReader()
    for (let at = 0; at < bytes.length; at += chunk) {
      const found = reader.push(bytes.subarray(at, at + chunk))
      if (found === undefined) continue
      return 'rest' in found ? { ...found, rest: found.rest.toString() + bytes.subarray(at + chunk) } : found
    }
    return undefined
  }

  it('the reader finds the client and the rest, however the bytes are cut', () => {
    const cases: [Buffer, string | undefined][] = [
      [header(v4(1)), '203.0.113.1'],
      [header(Buffer.concat([v4(1), ...NLB])), '203.0.113.1'],
      [header(Buffer.concat([v4(1), tlv(4, 65_000)])), '203.0.113.1'],
      [header(v6(7), { family: 0x21 }), '2001:db8:7::'],
      [header(Buffer.concat([v6(7), tlv(4, 300)]), { family: 0x21 }), '2001:db8:7::'],
      [header(Buffer.concat(NLB), { command: 0x20 }), undefined],
      [header(Buffer.alloc(0), { command: 0x20, family: 0 }), undefined],
      [header(Buffer.alloc(0), { family: 0 }), undefined],
      [header(Buffer.alloc(216), { family: 0x31 }), undefined],
    ]
    for (const [bytes, client] of cases) {
      for (const chunk of [1, 7, 16, 52, 53, 100_000])
        assert.deepEqual(read(Buffer.concat([bytes, READY]), chunk), {
          kind: 'accepted',
          client,
          rest: READY.toString(),
        })
    }
  })

  it('the reader refuses a header that is too short for its addresses, or of another version', () => {
    for (const bytes of [
      header(v4(1).subarray(0, 11)),
      header(Buffer.alloc(0)),
      header(v4(1), { family: 0x21 }),
      header(v4(1), { command: 0x11 }),
      header(v4(1), { command: 0x22 }),
    ])
      for (const chunk of [1, 1000]) assert.equal(read(Buffer.concat([bytes, READY]), chunk)?.kind, 'malformed')
  })

  it('the reader passes on what is no header', () => {
    for (const text of ['GET / HTTP/1.1\r\n\r\n', '\r\nGET / HTTP/1.1\r\n\r\n', '\r\n\r\n\0\r\nQUIX\n'])
      for (const chunk of [1, 1000]) assert.deepEqual(read(Buffer.from(text), chunk), { kind: 'missing', rest: text })
  })
})

const linuxOnly = process.platform === 'linux' ? false : 'TRUST_PROXY=proxy-protocol needs Linux'

describe('behind a proxy that sends PROXY headers', { skip: linuxOnly }, () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let gateway: TestGateway
  const env = { TRUST_PROXY: 'proxy-protocol', MAX_CONNECTIONS_PER_IP: '2', STREAM_END_TIMEOUT: '200ms' }
  before(async () => {
    redis = await redisFor(suite)
    gateway = await gatewayFor(suite, { redis, env })
  })

  async function send(bytes: Buffer, to = gateway): Promise<RawSocket> {
    const raw = await RawSocket.open(to.http)
    raw.write(bytes)
    return raw
  }
  const remotes = (to = gateway) =>
    to.log.filter(({ event }) => event === 'accepted').map(({ conn }) => (conn as { remote: string }).remote)

  it('a request is answered behind every form of header, and without one', async () => {
    const forms = {
      plain: header(v4(1)),
      'of a network load balancer': header(Buffer.concat([v4(1), ...NLB])),
      'with 60,000 bytes of TLVs': header(Buffer.concat([v4(1), tlv(4, 60_000)])),
      'a health check': header(Buffer.concat(NLB), { command: 0x20 }),
      'IPv6 with a TLV': header(Buffer.concat([v6(1), tlv(4, 1)]), { family: 0x21 }),
      'of a Unix socket': header(Buffer.alloc(216), { family: 0x31 }),
      none: Buffer.alloc(0),
    }
    for (const [name, bytes] of Object.entries(forms)) {
      const raw = await send(Buffer.concat([bytes, READY]))
      assert.equal(await raw.status(), 200, name)
      raw.destroy()
    }
  })

  it('sockets count for the address in the header, and IPv6 by its /64', async () => {
    const raws: RawSocket[] = []
    const knock = async (bytes: Buffer) => {
      const raw = await send(Buffer.concat([bytes, Buffer.from(upgradeRequest('/some-run'))]))
      raws.push(raw)
      return raw.status()
    }
    for (const at of [21, 22]) {
      const each = () => knock(header(Buffer.concat([v4(at), ...NLB])))
      assert.deepEqual([await each(), await each(), await each()], [101, 101, 429])
    }
    const six = () => knock(header(v6(9), { family: 0x21 }))
    assert.deepEqual([await six(), await six(), await six()], [101, 101, 429])
    assert.ok(['203.0.113.21', '203.0.113.22', '2001:db8:9::'].every((each) => remotes().includes(each)))
    for (const raw of raws) raw.destroy()
    // The places are given back when the sockets are gone.
    await eventually(async () => (await knock(header(v4(21)))) === 101, 'a free place')
    raws.at(-1)!.destroy()
  })

  it('a second header on a connection is refused as data, and claims no address', async () => {
    const claims = [header(v4(99)), header(v6(99), { family: 0x21 }), header(v4(99).subarray(0, 3))]
    for (const second of claims) {
      const raw = await send(Buffer.concat([header(v4(31)), READY]))
      assert.equal(await raw.status(), 200)
      raw.forget()
      raw.write(Buffer.concat([second, Buffer.from(upgradeRequest('/some-run'))]))
      await raw.untilClosed()
      assert.doesNotMatch(raw.text, / 101 /)
    }
    const straight = await send(Buffer.concat([header(v4(31)), header(v4(99)), READY]))
    await straight.untilClosed()
    assert.doesNotMatch(straight.text, / 200 /)
    assert.ok(!remotes().some((remote) => /99/.test(remote)), String(remotes()))
  })

  it('a malformed header cuts the connection, and is counted', async () => {
    const raw = await send(Buffer.concat([header(v4(1).subarray(0, 5)), READY]))
    await raw.untilClosed()
    assert.equal(raw.text, '')
    assert.equal(await gateway.metric('wsproxy_proxy_headers_total', { result: 'malformed' }), 1)
    assert.ok((await gateway.metric('wsproxy_proxy_headers_total', { result: 'accepted' })) > 0)
    assert.ok((await gateway.metric('wsproxy_proxy_headers_total', { result: 'local' })) > 0)
    assert.ok((await gateway.metric('wsproxy_proxy_headers_total', { result: 'missing' })) > 0)
  })

  it('a header of a peer outside TRUST_PROXY_CIDR is data', async (t) => {
    const own = await gatewayFor(t, { redis, env: { ...env, TRUST_PROXY_CIDR: '10.0.0.0/8' } })
    const plain = await send(READY, own)
    assert.equal(await plain.status(), 200)
    plain.destroy()
    const claimed = await send(Buffer.concat([header(v4(1)), Buffer.from(upgradeRequest('/some-run'))]), own)
    await claimed.untilClosed()
    assert.doesNotMatch(claimed.text, / 101 /)
    const bare = await send(Buffer.from(upgradeRequest('/some-run')), own)
    assert.equal(await bare.status(), 101)
    assert.deepEqual(remotes(own), ['127.0.0.1'])
    bare.destroy()
  })

  it('frames pass in both directions, a large one too, and the close of each side', async () => {
    const token = await gateway.token('relayed')
    const client = await connect(gateway.sessionUrl('relayed'), { token })
    const large = JSON.stringify({ text: 'x'.repeat(400_000) })
    await gateway.agent.publish('session:relayed:down', large)
    assert.deepEqual(await client.take(1), [large])
    client.send({ type: 'ping' })
    await client.find({ type: 'pong' })
    await gateway.agent.publish('session:relayed:down', '{"type":"control","command":"stream_end"}')
    assert.equal((await client.closed).code, 1000)
    const leaving = await gateway.join('leaving')
    await eventually(
      async () => (await gateway.metric('wsproxy_active_connections', { door: 'session' })) === 1,
      'open',
    )
    leaving.socket.terminate()
    await eventually(
      async () => (await gateway.metric('wsproxy_active_connections', { door: 'session' })) === 0,
      'gone',
    )
  })

  it('300 clients at once all open', async (t) => {
    const own = await gatewayFor(t, { redis, env: { TRUST_PROXY: 'proxy-protocol' } })
    const raws = await Promise.all(
      Array.from({ length: 300 }, (_, i) =>
        send(Buffer.concat([header(v4(i % 250)), Buffer.from(upgradeRequest(`/run-${i}`))]), own),
      ),
    )
    const statuses = await Promise.all(raws.map((raw) => raw.status()))
    assert.deepEqual([...new Set(statuses)], [101])
    for (const raw of raws) raw.destroy()
  })

  it('a drain closes every relayed socket with 1001', async (t) => {
    const own = await gatewayFor(t, { redis, env: { TRUST_PROXY: 'proxy-protocol', DRAIN_WINDOW: '0' } })
    const clients = await Promise.all(['d1', 'd2', 'd3'].map((session) => own.join(session)))
    await own.gateway.stop()
    for (const client of clients) assert.equal((await client.closed).code, 1001)
  })

  it('HAProxy in TCP mode, with checksum and unique id in its header, passes the address', async (t) => {
    const haproxy = balancers.find(({ name }) => name === 'haproxy')!
    if (without(haproxy)) return t.skip(String(without(haproxy)))
    const text = [
      'defaults\n  mode tcp\n  timeout connect 2s\n  timeout client 9s\n  timeout server 9s',
      'frontend clients\n  bind :8080\n  unique-id-format %{+X}o\\ %ci:%cp_%fi:%fp_%Ts_%rt:%pid\n  default_backend gateways',
      'backend gateways\n  server one gateway-1:8080 send-proxy-v2 proxy-v2-options crc32c,unique-id\n',
    ].join('\n')
    const port = Number(new URL(gateway.http).port)
    const front = await balancerFor(t, haproxy, [port, port], () => text)
    const token = await gateway.token('tcp')
    const client = await connect(`${front.ws}/agent/ws/tcp`, { token, localAddress: '127.0.0.77' })
    assert.ok(remotes().includes('127.0.0.77'))
    client.socket.terminate()
  })
})
