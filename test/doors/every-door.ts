import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type BareGateway, bareGatewayFor } from '../support/bare.ts'
import { connect, type TestClient } from '../support/client.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { freePort } from '../support/ports.ts'
import { RawSocket, upgradeRequest } from '../support/raw.ts'
import { redisFor, type TestRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { openStream } from '../support/sse.ts'
import { eventually, within } from '../support/wait.ts'
import { ask } from '../support/wire.ts'

type Headers = Record<string, string | undefined>

/** What the suite has to know of a door. */
export interface DoorUnderTest {
  /** Its label in metrics. */
  readonly door: string
  /** A path that this door refuses, and how. */
  readonly malformed: { readonly path: string; readonly status: number; readonly code: string }
  /** The subprotocol that its clients offer. */
  readonly protocol?: string
  /** A refusal is a close, except of no upgrade, at capacity, and while draining. */
  readonly refusesByClose?: true
  /** Its clients are streams over HTTP: they send nothing, and their close is a goodbye. */
  readonly stream?: true
  /** A client that does not read lags and is not closed. */
  readonly lags?: true
  /** Settings it needs. */
  readonly env?: Record<string, string>
  /** The frame before a close that the server starts, by its code; absent for other closes. */
  readonly goodbyes: Readonly<Record<number, RegExp>>
  readonly maxMessageBytes: number | undefined
  path(id: string): string
  /** Does what lets a client in, and returns the headers that it needs. */
  admit(gateway: TestGateway, id: string): Promise<Record<string, string>>
  /** Makes every socket of `id` get a frame of about `bytes`, number `n`. */
  speak(gateway: TestGateway, id: string, n: number, bytes: number): Promise<unknown>
  /** The number of such a frame; undefined for others. */
  numberOf(frame: string): number | undefined
}

/** Gateways that refuse, by what makes them. */
const REFUSING = {
  plain: {},
  choosy: { ALLOWED_ORIGINS: 'https://good.example' },
  full: { MAX_CONNECTIONS: '1' },
  draining: { DRAIN_DELAY: '20s' },
} satisfies Record<string, Record<string, string>>

interface Refusal {
  readonly at: keyof typeof REFUSING | 'away'
  readonly status: number
  readonly code: string
  readonly headers?: Headers
  readonly malformed?: true
}

const PLAIN_GET: Headers = Object.fromEntries(
  ['Upgrade', 'Connection', 'Sec-WebSocket-Version', 'Sec-WebSocket-Key'].map((name) => [name, undefined]),
)
/** What only an upgrade can get wrong. */
const UPGRADE_REFUSALS: Record<string, Refusal> = {
  'an old version': {
    at: 'plain',
    status: 426,
    code: 'unsupported-version',
    headers: { 'Sec-WebSocket-Version': '8' },
  },
  'a plain GET': { at: 'plain', status: 426, code: 'upgrade-required', headers: PLAIN_GET },
  'no key': { at: 'plain', status: 400, code: 'malformed-request', headers: { 'Sec-WebSocket-Key': undefined } },
}
const REFUSALS: Record<string, Refusal> = {
  'another origin': {
    at: 'choosy',
    status: 403,
    code: 'origin-not-allowed',
    headers: { Origin: 'https://bad.example' },
  },
  'a socket too many': { at: 'full', status: 503, code: 'at-capacity' },
  'an upgrade during a drain': { at: 'draining', status: 503, code: 'draining' },
  'an upgrade without Redis': { at: 'away', status: 503, code: 'redis-unavailable' },
}

const SLOW = { MAX_BUFFER_SIZE_BYTES: '1MiB', SLOW_CLOSE_GRACE: '10s', PING_INTERVAL: '60s', PONG_TIMEOUT: '120s' }
const LARGE_BYTES = 400 * 1024
/** The kernel takes some megabytes before a buffer here begins to fill. */
const MOST_FRAMES = 100

/** What the suite does with a client of either transport. */
interface Joined {
  readonly frames: readonly unknown[]
  readonly closed: Promise<{ code: number }>
  readonly code: number | undefined
  readonly socket: { pause(): void; resume(): void; terminate(): void }
  close(): Promise<void>
}

/** The close that stands for the reason of a goodbye. */
const CODES: Readonly<Record<string, number>> = { draining: 1001, backpressure: 1008 }

/** A stream as a client of a socket: its frames are the data of its events, behind their names. */
async function joinStream(url: string, headers: Record<string, string>): Promise<Joined> {
  const client = await openStream(url, headers)
  if (client.status !== 200) throw new Error(`the stream got ${client.status}`)
  await eventually(() => client.events.length > 0, 'the first event')
  const close = () => (client.isEnded ? (CODES[String(client.goodbye?.reason)] ?? 1006) : undefined)
  return {
    get frames() {
      const frames = client.events.filter(({ event }) => event !== 'stream')
      return frames.map(({ event, data }) => (event === 'message' ? data : `${event} ${data}`))
    },
    get code() {
      return close()
    },
    get closed() {
      return client.ended().then(() => ({ code: close()! }))
    },
    socket: { pause: () => client.pause(), resume: () => client.resume(), terminate: () => client.close() },
    close: async () => {
      client.close()
      await client.ended()
    },
  }
}

const badFramesFor = (maxMessageBytes: number | undefined): [string, string | Buffer, number][] => [
  ['a binary frame', Buffer.from('{}'), 1003],
  ...(maxMessageBytes === undefined
    ? []
    : ([['a frame that is too big', 'x'.repeat(maxMessageBytes + 1), 1009]] as [string, string, number][])),
]

/** What every door does, whatever it is for: run once for each of them. */
export function everyDoor(name: string, setup: DoorUnderTest): void {
  describe(`the ${name} door, as every door,`, () => {
    const suite = scopeOf(after)
    let redis: TestRedis
    before(async () => {
      redis = await redisFor(suite)
    })

    const start = (env: Record<string, string> = {}): Promise<TestGateway> =>
      gatewayFor(suite, { redis, env: { AUTH_TOKEN_MODE: 'reusable', ...setup.env, ...env } })

    const { door, goodbyes, maxMessageBytes, protocol } = setup
    const protocols = protocol === undefined ? [] : [protocol]
    const join = async (gateway: TestGateway, id: string): Promise<Joined> => {
      const headers = await setup.admit(gateway, id)
      return setup.stream
        ? joinStream(`${gateway.http}${setup.path(id)}`, headers)
        : connect(`${gateway.url}${setup.path(id)}`, { protocols, headers })
    }
    /** The headers of an upgrade that the test writes itself. */
    const admit = async (gateway: TestGateway, id: string): Promise<Record<string, string>> => ({
      ...(await setup.admit(gateway, id)),
      ...(protocol !== undefined && { 'Sec-WebSocket-Protocol': protocol }),
    })
    /** It came last, and once. */
    const assertGoodbye = ({ frames }: Joined, code: number) => {
      const goodbye = goodbyes[code]
      if (goodbye === undefined) return
      assert.match(String(frames.at(-1)), goodbye)
      assert.equal(frames.filter((frame) => goodbye.test(String(frame))).length, 1)
    }
    const active = (gateway: TestGateway) => gateway.metric('wsproxy_active_connections', { door })
    const ended = (gateway: TestGateway, code: number) =>
      gateway.metric('wsproxy_disconnections_total', { door, code: String(code) })
    const numbers = (client: Joined) =>
      client.frames.map((frame) => setup.numberOf(String(frame))).filter((n) => n !== undefined)

    describe('refuses', () => {
      const gateways = {} as Record<Refusal['at'], { http: string }>
      let first: TestGateway
      let away: BareGateway
      before(async () => {
        first = await start()
        away = bareGatewayFor(suite, `redis://127.0.0.1:${await freePort()}`, { AUTH_TOKEN_MODE: 'reusable' })
        gateways.away = away
        for (const [at, env] of Object.entries(REFUSING)) gateways[at as Refusal['at']] = await start(env)
        await join(gateways.full as TestGateway, 'first')
        void (gateways.draining as TestGateway).gateway.stop()
      })

      const malformed: Refusal = { at: 'plain', ...setup.malformed, malformed: true }
      for (const [what, { at, status, code, headers, malformed: isMalformed }] of Object.entries({
        'a malformed path': malformed,
        ...(setup.stream ? {} : UPGRADE_REFUSALS),
        ...REFUSALS,
      })) {
        it(`refuses ${what} at the ${name} door with ${status} ${code}, and counts it`, async () => {
          const gateway = gateways[at]
          const id = `refused-${code}`
          const path = isMalformed ? setup.malformed.path : setup.path(id)
          if (setup.refusesByClose && (isMalformed || at === 'choosy' || at === 'away')) {
            const url = `${gateway.http.replace('http', 'ws')}${path}`
            const given = { ...(await setup.admit(first, id)), ...headers } as Record<string, string>
            const { reason } = await within((await connect(url, { protocols, headers: given })).closed, 'the close')
            assert.equal(reason.split(' ')[0], code)
          } else {
            const credentials = await admit(first, id)
            const { status: came, body } = await ask(gateway.http, upgradeRequest(path, { ...credentials, ...headers }))
            assert.deepEqual([came, JSON.parse(body).error.code], [status, code])
          }
          const page = await (await fetch(`${gateway.http}/metrics`)).text()
          assert.match(page, new RegExp(`wsproxy_connections_total\\{door="${door}",result="${code}"\\} 1\\n`))
        })
      }
    })

    const badFrames = setup.stream ? [] : badFramesFor(maxMessageBytes)
    for (const [what, frame, code] of badFrames) {
      it(`closes a socket of the ${name} door with ${code} after ${what}, and no other socket`, async () => {
        const gateway = await start()
        const [bad, good] = [await join(gateway, 'same'), await join(gateway, 'same')]
        ;(bad as TestClient).socket.send(frame, { binary: typeof frame !== 'string' })
        assert.equal((await within(bad.closed, 'the close')).code, code)
        assertGoodbye(bad, code)
        await setup.speak(gateway, 'same', 7, 100)
        await eventually(() => numbers(good).includes(7), 'a frame for the other')
        assert.equal(await ended(gateway, code), 1)
        assert.equal(await active(gateway), 1)
      })
    }

    it(`drains the ${name} door: each socket gets what was accepted, its goodbye, then 1001`, async () => {
      const gateway = await start()
      const clients = await Promise.all(Array.from({ length: 20 }, (_, i) => join(gateway, `drain-${i % 4}`)))
      await setup.speak(gateway, 'drain-0', 1, 100)
      await eventually(() => numbers(clients[0]!).includes(1), 'the frame')
      const stopped = gateway.gateway.stop()
      for (const client of clients) {
        assert.equal((await within(client.closed, 'the close')).code, 1001)
        assertGoodbye(client, 1001)
      }
      await within(stopped, 'the end of the drain')
    })

    const isSlow = setup.lags ? 'lets a client lag' : 'closes a client with 1008'
    it(`${isSlow} that does not read at the ${name} door, while the others get everything`, async () => {
      const gateway = await start(SLOW)
      const slow = await join(gateway, 'slow')
      const others = [await join(gateway, 'slow'), await join(gateway, 'slow')]
      slow.socket.pause()
      const tooSlow = async () =>
        (await gateway.metric('wsproxy_backpressure_events_total', { stage: 'full' })) > 0 ||
        (setup.lags && (await gateway.metric('wsproxy_lagging_total')) > 0)
      let n = 0
      while (!(await tooSlow())) {
        assert.ok(n < MOST_FRAMES, 'the client that does not read was never too slow')
        await setup.speak(gateway, 'slow', ++n, LARGE_BYTES)
        await eventually(() => others.every((each) => numbers(each).at(-1) === n), `frame ${n} at the others`)
      }
      const expected = Array.from({ length: n }, (_, i) => i + 1)
      for (const each of others) {
        assert.deepEqual(numbers(each), expected)
        assert.equal(each.code, undefined)
      }
      slow.socket.resume()
      if (setup.lags) {
        await eventually(() => numbers(slow).length >= n, 'every frame at the slow one')
        assert.deepEqual(numbers(slow), expected)
        return assert.equal(slow.code, undefined)
      }
      assert.equal((await within(slow.closed, 'the close')).code, 1008)
      assertGoodbye(slow, 1008)
      assert.deepEqual(numbers(slow), expected.slice(0, numbers(slow).length))
      assert.ok(numbers(slow).length < n)
    })

    it(`gives the place of a client that vanishes from the ${name} door to another`, async () => {
      const gateway = await start({ MAX_CONNECTIONS: '1' })
      for (let i = 0; i < 3; i++) {
        const client = await eventually(() => join(gateway, 'place').catch(() => undefined), `place ${i} to be free`)
        client.socket.terminate()
      }
      await eventually(async () => (await active(gateway)) === 0, 'no open socket')
    })

    const silent = setup.stream ? it.skip : it
    silent(
      `closes a client of the ${name} door that is gone silently with 4408, and gives its place to another`,
      async () => {
        const gateway = await start({ MAX_CONNECTIONS: '1', PING_INTERVAL: '100ms', PONG_TIMEOUT: '300ms' })
        const raw = await RawSocket.open(gateway.http)
        raw.write(upgradeRequest(setup.path('silent'), await admit(gateway, 'silent')))
        assert.equal(await raw.status(), 101)
        raw.socket.pause()
        const next = await eventually(() => join(gateway, 'silent').catch(() => undefined), 'the place to be free')
        assert.equal(await ended(gateway, 4408), 1)
        next.socket.terminate()
        raw.destroy()
      },
    )

    it(`labels all that is counted for sockets of the ${name} door with its name, and nothing else`, async () => {
      const gateway = await start()
      const clients = [await join(gateway, 'a'), await join(gateway, 'a'), await join(gateway, 'b')]
      assert.equal(await gateway.metric('wsproxy_connections_total', { door, result: 'accepted' }), 3)
      assert.equal(await active(gateway), 3)
      await setup.speak(gateway, 'a', 1, 100)
      for (const client of clients.slice(0, 2)) await eventually(() => numbers(client).includes(1), 'the frame')
      const frames = () => clients.flatMap((client) => client.frames.map(String))
      const bytes = () => frames().reduce((sum, frame) => sum + Buffer.byteLength(frame), 0)
      const sent = (what: string) => gateway.metric(`wsproxy_${what}_sent_total`, { door })
      await eventually(async () => (await sent('messages')) === frames().length, 'every frame to be counted')
      // A stream counts the frames of which it makes events.
      if (!setup.stream) await eventually(async () => (await sent('bytes')) === bytes(), 'every byte to be counted')
      for (const client of clients) await client.close()
      await eventually(async () => (await active(gateway)) === 0, 'no open socket')
      assert.equal(await ended(gateway, setup.stream ? 1006 : 1005), 3)
      const page = await (await fetch(`${gateway.http}/metrics`)).text()
      const others = page.split('\n').filter((line) => /[{,]door="/.test(line) && !line.includes(`door="${door}"`))
      for (const line of others) assert.match(line, / 0$/)
    })
  })
}
