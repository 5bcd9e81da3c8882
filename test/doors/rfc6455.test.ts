import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sessionAuth, sessionUp } from '../../src/contract/names.ts'
import { Certificate, withoutOpenssl } from '../support/certificates.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { clientFrame, RawSocket, upgradeRequest } from '../support/raw.ts'
import { type Scope, scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'
import { answerOf, framesOf, OPCODE } from '../support/wire.ts'
import { BAD_CODES, FRAME_CASES, type FrameCase, type Outcome } from './rfc6455-frames.ts'
import { HANDSHAKE_CASES } from './rfc6455-handshakes.ts'

/**
 * What uWebSockets.js does otherwise than the RFC, or than most servers. docs/reference/protocol.md
 * lists the same.
 */
const NATIVE: Readonly<Record<string, Outcome>> = {
  // A close frame that is wrong is answered with a close frame without a code.
  'opcode 8 without a mask': 0,
  'a close of one byte': 0,
  'a close whose reason is not UTF-8': 0,
  'a close whose reason ends within a character': 0,
  ...Object.fromEntries(BAD_CODES.map((code) => [`the close code ${code}, which no frame may have,`, 0])),
  // So is one with a code that was registered after the RFC, or is for libraries.
  ...Object.fromEntries([1012, 1013, 1014, 3000, 3999].map((code) => [`the close code ${code}`, 0])),
  // It ends the message in fragments, and is a binary frame like any other.
  'a binary frame within a text': 1003,
}
/** 0: cut without an answer, where RFC 9112 asks for a 400 or 505. */
const NATIVE_STATUS: Readonly<Record<string, number>> = {
  'no version of HTTP': 0,
  'a header line without a colon': 0,
  'a space before a colon': 0,
}

const DOORS = [
  {
    door: 'session',
    path: (id: string) => `/agent-1/ws/${id}`,
    credentials: { Authorization: 'Bearer token' },
    answersPing: true,
  },
  { door: 'live', path: () => '/live?subscriptions=system', credentials: {}, answersPing: true },
  { door: 'run', path: (id: string) => `/${id}`, credentials: {}, answersPing: false },
] as const

/** PROXY protocol v2: TCP over IPv4 from 203.0.113.1. */
const PROXY_HEADER = Buffer.from('0d0a0d0a000d0a515549540a2111000ccb007101c0000201c0001f90', 'hex')

/** What carries the bytes of a client to its door. */
interface Transport {
  readonly over: string
  readonly skip: string | false
  env(suite: Scope): Record<string, string>
  /** Opens a connection on which the client speaks next. */
  open(gateway: TestGateway): Promise<RawSocket>
}

const TRANSPORTS: readonly Transport[] = [
  { over: 'TCP', skip: false, env: () => ({}), open: ({ http }) => RawSocket.open(http) },
  {
    over: 'TLS',
    skip: withoutOpenssl,
    env(suite) {
      const { cert, key } = new Certificate(suite)
      return { TLS_CERT: cert, TLS_KEY: key }
    },
    open: ({ http }) => RawSocket.open(http.replace('http:', 'https:')),
  },
  {
    over: 'TCP behind a PROXY header',
    skip: false,
    env: () => ({ TRUST_PROXY: 'proxy-protocol' }),
    async open({ http }) {
      const raw = await RawSocket.open(http)
      raw.write(PROXY_HEADER)
      return raw
    },
  },
]

const MARK = 'still-there'

/**
 * uWebSockets.js cuts a request that it cannot parse after 10 seconds, so the doors and the
 * transports wait at the same time.
 */
describe('RFC 6455', { concurrency: true }, () => {
  for (const transport of TRANSPORTS)
    describe(`over ${transport.over}`, { skip: transport.skip, concurrency: true }, () => {
      const suite = scopeOf(after)
      let gateway: TestGateway
      /** The channels of sessions on which an agent heard a frame. */
      const heard = new Set<string>()
      let cases = 0
      before(async () => {
        const rates = {
          SESSION_RATE: '0',
          LIVE_RATE: '0',
          CONNECT_RATE: '0',
          CONNECT_RATE_PER_IP: '0',
          REFUSED_RATE_PER_IP: '0',
        }
        gateway = await gatewayFor(suite, { env: { AUTH_TOKEN_MODE: 'reusable', ...rates, ...transport.env(suite) } })
        const agent = await gateway.redis.client()
        await agent.pSubscribe(sessionUp('rfc-*'), (_, channel) => heard.add(channel))
      })

      /** An id of its own for each case, with a token. */
      async function newId(): Promise<string> {
        const id = `rfc-${++cases}`
        await gateway.agent.set(sessionAuth(id), 'token')
        return id
      }

      async function upgraded(path: string, credentials: Record<string, string>): Promise<RawSocket> {
        const raw = await transport.open(gateway)
        raw.write(upgradeRequest(path, credentials))
        assert.equal(await raw.status(), 101)
        return raw
      }

      const pongsOf = (raw: RawSocket) =>
        framesOf(raw)
          .filter(({ opcode }) => opcode === OPCODE.pong)
          .map(({ payload }) => payload.toString())
      const jsonPongs = (raw: RawSocket) =>
        framesOf(raw).filter(({ opcode, payload }) => opcode === OPCODE.text && payload.includes('"pong"')).length

      /** Sends a case, and waits for the pong of a ping after it or for the end. */
      async function outcomeOf(raw: RawSocket, { bytes, byByte }: FrameCase): Promise<Outcome> {
        raw.socket.setNoDelay(true)
        for (const each of bytes) {
          if (!byByte) raw.write(each)
          else
            for (const byte of each) {
              raw.write(Buffer.from([byte]))
              await new Promise((done) => setImmediate(done))
            }
        }
        raw.write(clientFrame(OPCODE.ping, MARK))
        await eventually(() => raw.ended || pongsOf(raw).includes(MARK), 'a pong, or the end')
        if (!raw.ended) return 'open'
        const close = framesOf(raw).find(({ opcode }) => opcode === OPCODE.close)
        if (close === undefined) return 'cut'
        return close.payload.length === 0 ? 0 : close.payload.readUInt16BE(0)
      }

      for (const { door, path, credentials, answersPing } of DOORS) {
        describe(`at the ${door} door`, { concurrency: 8 }, () => {
          for (const [what, each] of Object.entries(FRAME_CASES)) {
            const expected = NATIVE[what] ?? each.outcome
            it(`${what}: ${typeof expected === 'number' ? `is answered with a close, code ${expected || 'none'}` : expected}`, async () => {
              const id = await newId()
              const raw = await upgraded(path(id), credentials)
              const outcome = await outcomeOf(raw, each)
              assert.equal(outcome, expected)
              const mark = outcome === 'open' ? [MARK] : []
              if (outcome === 'open') assert.deepEqual(pongsOf(raw), [...(each.pongs ?? []), ...mark])
              // A ping with other members is not for the session door: its agent hears it.
              if (each.isPing && answersPing)
                await eventually(() => jsonPongs(raw) > 0 || heard.has(sessionUp(id)), 'the frame to be understood')
              raw.destroy()
            })
          }

          for (const [what, { request, status, answer }] of Object.entries(HANDSHAKE_CASES)) {
            const expected = NATIVE_STATUS[what] ?? status
            it(`a handshake with ${what} gets ${expected}`, async () => {
              const raw = await transport.open(gateway)
              raw.write(request(path(await newId()), credentials))
              assert.equal(await raw.status(), expected)
              const came = answerOf(raw).headers
              for (const [name, value] of Object.entries(answer ?? {})) assert.equal(came[name], value, name)
              raw.destroy()
            })
          }
        })
      }
    })
})

it('the list of exceptions to RFC 6455 names cases that run', () => {
  for (const name of Object.keys(NATIVE)) assert.ok(Object.hasOwn(FRAME_CASES, name), name)
  for (const name of Object.keys(NATIVE_STATUS)) assert.ok(Object.hasOwn(HANDSHAKE_CASES, name), name)
})
