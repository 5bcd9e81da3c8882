/**
 * How the clients and agents of each kind of gateway speak. A dialect turns the bench's message
 * into the bytes that agents publish, and into the frame that a client gets. Both are templates
 * that are stamped and read at fixed offsets, so that all subjects cost the bench the same.
 */
import { sessionDown, sessionUp } from '../../src/contract/names.ts'
import { command } from './command.ts'
import { msgpack } from './msgpack.ts'
import { FIRST_OFFSET } from './payload.ts'
import { sessionId, sessionToken } from './sessions.ts'

export type DialectName = 'plain' | 'numbered' | 'sse' | 'socket.io' | 'webdis' | 'nchan'

export interface Dialect {
  path(session: number): string
  /** The subprotocol that its clients offer. */
  protocol?: string
  /** Its clients read server-sent events and send nothing. */
  isStream?: true
  /** Its sessions have logs, and its messages have numbers. */
  numbered?: true
  /** The Origin header, for subjects that require one. */
  origin?: string
  /**
   * Whether each session has a Redis channel of its own that is subscribed while a socket is open.
   */
  ownChannels: boolean
  /**
   * What a client sends after the 101, if anything, and the beginning of the frame that opens it.
   * Without this the 101 opens it.
   */
  hello?: { says?(session: number): string; answer: string }
  /** The beginning of frames that may come at any time and do not count. */
  ignored?: string
  /** A ping that the server sends as a message, and its answer. */
  ping?: { frame: string; answer: string }
  /** What an agent writes to publish, and to which server. */
  publish(session: number, payload: string): Buffer
  publishTo: 'redis' | 'subject'
  /** The frame that delivers the message to a client. */
  frame(session: number, payload: string): string
  /** The frame with which a client publishes to `sessionUp`; undefined when it cannot publish. */
  upstream?(session: number, payload: string): string
}

const publishDown = (session: number, payload: string): Buffer =>
  command('PUBLISH', sessionDown(sessionId(session)), payload)

/** The session door's dialect; the hand-written peer uses it, too. */
const plain: Dialect = {
  path: (session) => `/bench/ws/${sessionId(session)}`,
  ownChannels: true,
  publish: publishDown,
  publishTo: 'redis',
  frame: (_, payload) => payload,
  upstream: (_, payload) => payload,
}

/** Epoch of the logs of the bench. */
export const EPOCH = '0bench000abc'

/** The session door with `wsproxy.v2`: messages have numbers, and clients get them. */
const numbered: Dialect = {
  ...plain,
  protocol: 'wsproxy.v2',
  numbered: true,
  hello: { answer: '{"type":"control","command":"position"' },
  ignored: '{"type":"control","command":"ticket"',
  publish: (session, payload) => publishDown(session, `\u001e${EPOCH}.${FIRST_OFFSET}\u001e${payload}`),
  frame: (_, payload) => `${FIRST_OFFSET} ${payload}`,
}

/** The same as server-sent events. The position has the first `retry:`. */
const { protocol: _, upstream: __, ...readers } = numbered
const sse: Dialect = {
  ...readers,
  path: (session) => `/bench/sse/${sessionId(session)}`,
  isStream: true,
  hello: { answer: 'retry: ' },
  frame: (_, payload) => `id: ${EPOCH}.${FIRST_OFFSET}\ndata: ${payload}`,
}

/**
 * Engine.IO 4 over its WebSocket transport alone. Agents publish what @socket.io/redis-emitter
 * publishes.
 */
const socketIo: Dialect = {
  path: () => '/socket.io/?EIO=4&transport=websocket',
  ownChannels: false,
  hello: {
    says: (session) => `40${JSON.stringify({ session: sessionId(session), token: sessionToken(session) })}`,
    answer: '40{',
  },
  ping: { frame: '2', answer: '3' },
  publish: (session, payload) => {
    const packet = { type: 2, data: ['message', JSON.parse(payload)], nsp: '/' }
    const room = sessionId(session)
    return command(
      'PUBLISH',
      `socket.io#/#${room}#`,
      msgpack(['emitter', packet, { rooms: [room], flags: {}, except: [] }]),
    )
  },
  publishTo: 'redis',
  frame: (_, payload) => `42["message",${payload}]`,
  upstream: (_, payload) => `42["message",${payload}]`,
}

/** Commands of Redis as JSON over a WebSocket. The client itself sends SUBSCRIBE. */
const webdis: Dialect = {
  path: () => '/.json',
  origin: 'http://127.0.0.1',
  ownChannels: true,
  hello: {
    says: (session) => JSON.stringify(['SUBSCRIBE', sessionDown(sessionId(session))]),
    answer: '{"SUBSCRIBE":["subscribe"',
  },
  publish: publishDown,
  publishTo: 'redis',
  frame: (session, payload) => JSON.stringify({ SUBSCRIBE: ['message', sessionDown(sessionId(session)), payload] }),
}

/** Agents publish over HTTP to nginx. Its Redis is private to nchan. */
const nchan: Dialect = {
  path: (session) => `/sub/${sessionId(session)}`,
  ownChannels: false,
  publish: (session, payload) =>
    Buffer.from(
      `POST /pub/${sessionId(session)} HTTP/1.1\r\nHost: nchan\r\nContent-Length: ${payload.length}\r\n\r\n${payload}`,
    ),
  publishTo: 'subject',
  frame: (_, payload) => payload,
}

export const DIALECTS: Record<DialectName, Dialect> = { plain, numbered, sse, 'socket.io': socketIo, webdis, nchan }

/** The bytes that Redis sends to a subscriber of `session:*:up` for a client's message. */
export const upstreamMessage = (session: number, payload: string): Buffer =>
  command('pmessage', sessionUp('*'), sessionUp(sessionId(session)), payload)
