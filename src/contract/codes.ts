import type { ErrorCode } from './live/types.gen.ts'
import { loginRefusals } from './login-refusals.ts'
import { STREAM_REFUSALS } from './stream-refusals.ts'

/**
 * Every number and name with which a connection is refused, closed or answered.
 * docs/reference/codes.md explains each; a test compares the two.
 */

type RefusalClose = 1011 | 4400 | 4401 | 4403 | 4404 | 4429 | 4503

/**
 * What a refused client does: it gives up, asks its backend for a token once, or waits and comes
 * back.
 */
type RefusedClient = 'final' | 'new-token' | 'wait'

/**
 * A refusal of an upgrade or of an HTTP call, as an HTTP response. `retryAfter` adds a
 * `Retry-After` header.
 */
export interface Refusal {
  readonly kind: 'refusal'
  readonly code: string
  /** Status code and reason phrase. */
  readonly status: string
  readonly message: string
  /** The field of the request that is wrong; only in a `bad-request`. */
  readonly field?: string | undefined
  readonly retryAfter?: boolean
  /** The close code that stands for it where a client is accepted only to be closed. */
  readonly close: RefusalClose
  readonly client: RefusedClient
  /** Headers of this refusal. RFC 9110 requires one for 401, 405 and 426. */
  readonly headers?: Readonly<Record<string, string>>
}

/** Close code and client for an HTTP status. Any other status is a bug of the client. */
const CLOSES: Readonly<Record<string, readonly [RefusalClose, RefusedClient]>> = {
  401: [4401, 'new-token'],
  403: [4403, 'final'],
  404: [4404, 'final'],
  429: [4429, 'wait'],
  500: [1011, 'wait'],
  503: [4503, 'wait'],
  504: [4503, 'wait'],
}

type Row = Omit<Refusal, 'kind' | 'code' | 'close' | 'client'> & Partial<Pick<Refusal, 'close' | 'client'>>

function refusalOf(code: string, row: Row): Refusal {
  const [close, client] = CLOSES[row.status.slice(0, 3)] ?? ([4400, 'final'] as const)
  return Object.freeze({ kind: 'refusal', code, close, client, ...row })
}

const define = <T extends Record<string, Row>>(table: T) =>
  Object.freeze(Object.fromEntries(Object.entries(table).map(([code, row]) => [code, refusalOf(code, row)]))) as {
    readonly [K in keyof T]: Refusal
  }

export const refusals = define({
  'malformed-id': {
    status: '400 Bad Request',
    message: 'An id in the path must be 1 to 200 of A-Z a-z 0-9 _ . ~ @ = + : - (in a run id ; instead of :).',
  },
  'cursor-malformed': {
    status: '400 Bad Request',
    message: 'A cursor is <epoch>.<offset> of a position frame, or -1 for all that is kept.',
  },
  'malformed-request': { status: '400 Bad Request', message: 'Not a valid WebSocket upgrade request.' },
  'bad-request': { status: '400 Bad Request', message: 'The request is malformed.' },
  'credentials-missing': {
    status: '401 Unauthorized',
    message: 'A bearer token is required: Authorization header, or subprotocols "wsproxy.v1, bearer.<base64url>".',
    headers: { 'WWW-Authenticate': 'Bearer' },
  },
  'credentials-malformed': {
    status: '401 Unauthorized',
    message: 'The bearer token is malformed.',
    headers: { 'WWW-Authenticate': 'Bearer error="invalid_request"' },
  },
  'admin-required': {
    status: '401 Unauthorized',
    message: 'This call requires the admin token.',
    headers: { 'WWW-Authenticate': 'Bearer' },
  },
  'admin-rejected': { status: '403 Forbidden', message: 'The admin token is wrong.' },
  'admin-limited': {
    status: '429 Too Many Requests',
    message: 'Too many wrong admin tokens came from this address. Wait a minute.',
    retryAfter: true,
  },
  'admin-disabled': {
    status: '403 Forbidden',
    message: 'Admin calls are disabled: start the gateway with ADMIN_TOKEN set to 16 characters or more.',
  },
  ...loginRefusals,
  'token-rejected': {
    status: '403 Forbidden',
    message: 'The token is wrong, used or expired, or it does not open this path.',
    // Another token may be right, so its client does as after a 401.
    close: 4401,
    client: 'new-token',
  },
  'token-single-use': {
    status: '403 Forbidden',
    message:
      'A client of a stream shows its credential again with each reconnect, and this token is for one use: exchange ' +
      'it with POST /{agent}/ticket/{session} for a ticket that reads. To send, use a JWT or a reusable token.',
  },
  'token-expired': {
    status: '401 Unauthorized',
    message: 'The token has expired.',
    headers: { 'WWW-Authenticate': 'Bearer error="invalid_token"' },
  },
  'origin-not-allowed': { status: '403 Forbidden', message: 'This origin is not allowed to connect.' },
  forbidden: {
    status: '403 Forbidden',
    message: 'The Redis user of this gateway may not subscribe to a channel of this path.',
  },
  'not-found': { status: '404 Not Found', message: 'No such path.' },
  'method-not-allowed': { status: '405 Method Not Allowed', message: 'Method not allowed.' },
  ...STREAM_REFUSALS,
  'body-too-large': { status: '413 Content Too Large', message: 'The body is too large.' },
  'upgrade-required': {
    status: '426 Upgrade Required',
    message: 'This path accepts WebSocket upgrades only.',
    headers: { Upgrade: 'websocket' },
  },
  'unsupported-version': {
    status: '426 Upgrade Required',
    message: 'Only Sec-WebSocket-Version 13 is supported.',
    headers: { Upgrade: 'websocket', 'Sec-WebSocket-Version': '13' },
  },
  'connect-rate': { status: '429 Too Many Requests', message: 'Too many connection attempts.', retryAfter: true },
  'address-limit': {
    status: '429 Too Many Requests',
    message: 'Too many sockets from this address.',
    retryAfter: true,
  },
  'internal-error': { status: '500 Internal Server Error', message: 'Internal error.' },
  'redis-unavailable': {
    status: '503 Service Unavailable',
    message: 'The Redis server that this request needs is unavailable. Try again in some seconds.',
    retryAfter: true,
  },
  'keys-unavailable': {
    status: '503 Service Unavailable',
    message: 'The keys that verify this token cannot be fetched at the moment.',
    retryAfter: true,
  },
  'at-capacity': { status: '503 Service Unavailable', message: 'This instance is at capacity.', retryAfter: true },
  draining: { status: '503 Service Unavailable', message: 'This instance is shutting down.', retryAfter: true },
  'revocations-full': {
    status: '507 Insufficient Storage',
    message: 'Nothing was revoked: AUTH_REVOKED_MAX revocations are kept already. Give a ttl, so that they expire.',
  },
  'redis-timeout': { status: '504 Gateway Timeout', message: 'Redis did not answer in time.' },
})

/**
 * Refusals that stay plain HTTP: the request cannot be completed, or a socket more is what this
 * instance must not have.
 */
const ALWAYS_HTTP: ReadonlySet<string> = new Set(
  'malformed-request unsupported-version upgrade-required method-not-allowed connect-rate at-capacity draining'.split(
    ' ',
  ),
)
/** A client that waits does so for this time to four times this time, at random. */
const RETRY_MS = 1000

/**
 * The close of a client that is accepted only so that it can read why it is refused. Its reason is
 * the code, and ` retry=<ms>` where waiting helps. Undefined: the refusal is plain HTTP.
 */
export function closeFor({ code, close, client }: Refusal): Close | undefined {
  if (ALWAYS_HTTP.has(code)) return undefined
  const retry = client === 'wait' ? ` retry=${Math.round(RETRY_MS * (1 + 3 * Math.random()))}` : ''
  return { code: close, reason: code + retry, reconnect: client === 'wait' }
}

/** How an upgrade can end: label `result` of `connections_total`. */
export const upgradeResults: readonly string[] = ['accepted', 'ended', 'aborted', ...Object.keys(refusals)]

/** A WebSocket close (RFC 6455, section 7.4): at most 123 bytes of reason. */
export interface Close {
  readonly code: number
  readonly reason: string
  /**
   * `reason` of the live door's `disconnect_notice` before this close; by default the close reason.
   */
  readonly notice?: string
  /** Whether the client should reconnect by itself; by default it should not. */
  readonly reconnect?: boolean
}

export const closes = Object.freeze({
  streamEnd: { code: 1000, reason: 'stream ended', notice: 'stream-ended', reconnect: false },
  draining: { code: 1001, reason: 'draining', notice: 'draining', reconnect: true },
  binaryFrame: { code: 1003, reason: 'text frames only', notice: 'binary-frame', reconnect: false },
  tooSlow: { code: 1008, reason: 'client too slow', notice: 'backpressure', reconnect: true },
  flooding: { code: 1008, reason: 'too many frames', notice: 'rate-limited', reconnect: true },
  messageTooBig: { code: 1009, reason: 'message too big', notice: 'message-too-large', reconnect: false },
  internalError: { code: 1011, reason: 'internal error', notice: 'internal-error', reconnect: true },
  redisGone: { code: 1013, reason: 'redis is away, try again later', notice: 'redis-unavailable', reconnect: true },
  notAuthorised: { code: 4401, reason: 'not authorised', notice: 'not-authorised', reconnect: false },
  expired: { code: 4401, reason: 'expired retry=0', notice: 'expired', reconnect: false },
  keyRemoved: { code: 4401, reason: 'key-removed', notice: 'key-removed', reconnect: false },
  revoked: { code: 4401, reason: 'revoked', notice: 'revoked', reconnect: false },
  forbidden: { code: 4403, reason: 'forbidden', notice: 'forbidden', reconnect: false },
  notHeard: { code: 4408, reason: 'nothing heard from you', notice: 'not-heard', reconnect: true },
}) satisfies Readonly<Record<string, Required<Close>>>

/** Nothing passed for too long, although the client answered pings: the same code as `notHeard`. */
export const idleClose: Required<Close> = Object.freeze({
  ...closes.notHeard,
  reason: 'idle_timeout',
  notice: 'idle_timeout',
})

/** A stream has reached its greatest age: its client comes back at once. */
export const lifetimeClose: Required<Close> = Object.freeze({
  ...closes.draining,
  reason: 'lifetime',
  notice: 'lifetime',
})

/**
 * The close codes after which another attempt ends the same way. A code that stands for several
 * closes is final only when each of them is, so 4401, after which a new token may help, is not.
 */
export function finalCloses(): number[] {
  const all = [
    ...Object.values(closes).map(({ code, reconnect }) => ({ code, isFinal: !reconnect })),
    ...Object.values(refusals).map(({ close, client }) => ({ code: close, isFinal: client === 'final' })),
  ]
  const codes = [...new Set(all.map(({ code }) => code))]
  return codes.filter((code) => all.every((each) => each.code !== code || each.isFinal))
}

/** Codes of RFC 6455 with which a client or its library may close, beside those that we send. */
const CLIENT_CLOSE_CODES = [1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1011]
const LABELLED_CODES = new Set([
  ...CLIENT_CLOSE_CODES,
  ...Object.values(closes).map(({ code }) => code),
  ...Object.values(refusals).map(({ close }) => close),
])

/**
 * Label `code` of `disconnections_total`. A code that a client made up is `other`, so that the
 * label stays small.
 */
export const closeLabel = (code: number): string => (LABELLED_CODES.has(code) ? String(code) : 'other')

const MAX_REASON_BYTES = 123

/**
 * The close of a socket that an operator disconnects: code 1000, and the operator's words cut to
 * 123 bytes.
 */
export function disconnectedBy(reason: string): Close {
  const bytes = Buffer.from(reason || 'disconnected by an operator')
  let end = Math.min(bytes.length, MAX_REASON_BYTES)
  // Cut at the start of a character of UTF-8.
  while (end < bytes.length && (bytes[end]! & 0xc0) === 0x80) end--
  return { code: closes.streamEnd.code, reason: bytes.toString('utf8', 0, end) }
}

/** Codes of `{"type":"error"}` frames, and the message that goes with each. */
export const frameErrors = Object.freeze({
  'invalid-json': 'The frame is not JSON; it was not published.',
  'rate-limited': 'Too many frames; the newest were dropped.',
  'upstream-disabled': 'This gateway does not publish client frames.',
  forbidden: 'The token of this socket is read only; the frame was not published.',
  'auth-rejected': 'The new token was refused; the former one counts until it ends.',
  'upstream-unavailable': 'Redis is not available; the frame was not published.',
  'upstream-uncertain': 'Redis was lost before it confirmed the frame; the frame may not have arrived.',
})

export type FrameErrorCode = keyof typeof frameErrors

/**
 * Codes of the live door's `error` frames, and how their messages begin. The schema lists the same
 * codes.
 */
export const liveErrors = Object.freeze({
  'protocol-violation': 'Invalid message',
  'message-too-large': 'Message too large',
  'rate-limited': 'Rate limit exceeded',
  'unknown-type': 'Unknown message type',
  'unknown-topic': 'Invalid subscription(s)',
  'too-many-subscriptions': 'Too many subscriptions',
  forbidden: 'Not allowed',
  'message-lost': 'A message was too large and was not sent',
  'auth-rejected': 'The new token was refused; the former one counts until it ends',
  'clock-ahead': 'The ts of the envelope is too far ahead of the server',
  'redis-unavailable': 'Redis is not available',
}) satisfies Readonly<Record<ErrorCode, string>>
