/**
 * The closed lists behind the labels `reason` and `type` of the metrics. Metrics starts every
 * series of them at 0, and the pages for operators explain each value.
 */

/** Label `type` of `errors_total`: the part of the gateway that failed. */
export const ERROR_TYPES = [
  /** A bug in the gateway; the log has its stack. */
  'internal',
  /** A connection to Redis was lost or refused, or a command failed. */
  'redis',
  /** The hash of a run could not be read. */
  'run',
  /** A preflight report could not be handed to Sentry. */
  'preflight',
  /** A metric had no value for a scrape; the page was sent without it. */
  'metrics',
] as const

export type ErrorType = (typeof ERROR_TYPES)[number]

export const LOSS_REASONS = [
  'slow_client',
  'upstream_full',
  'upstream_uncertain',
  'rate_limit',
  'oversize',
  'oversize_down',
  'invalid',
  'drain',
  'closing',
] as const

/** Why a message did not reach its receiver. */
export type LossReason = (typeof LOSS_REASONS)[number]

export const GAP_REASONS = [
  'redis_down',
  'redis_output_limit',
  'redis_deaf',
  'redis_moved',
  'slow_client',
  'drain',
] as const

/** Why messages may have been lost when their number is unknown. */
export type GapReason = (typeof GAP_REASONS)[number]

/** Why a client does not get all that it missed: `position` frames of `wsproxy.v2`. */
const RESUME_REASONS = [
  /** The session has another log than the one of the cursor. */
  'epoch',
  /** The log does not have these messages any more. */
  'trimmed',
  /** The log is empty. */
  'expired',
  /** The session has no log, and no gateway remembers its messages. */
  'window',
  /** The session never had a log of this epoch. */
  'unknown',
  /** The cursor is ahead of the log. */
  'future',
  /** Redis has lost messages that it had taken, or cannot read the log. */
  'redis',
] as const

export type ResumeReason = (typeof RESUME_REASONS)[number]

/** Label `result` of `resume_total`. `empty`: the client had missed nothing. */
export const RESUME_RESULTS = ['recovered', 'empty', ...RESUME_REASONS] as const

/** Label `result` of `tickets_judged_total`. `unreadable`: Redis did not say what they need. */
export const TICKET_RESULTS = [
  'accepted',
  'malformed',
  'signature',
  'purpose',
  'session',
  'expired',
  'early',
  'revoked',
  'unreadable',
] as const
export type TicketResult = (typeof TICKET_RESULTS)[number]

/** How much a client gets back after it was away: `position` frames, label `grade`. */
export const GRADES = ['exact', 'none'] as const
export type Grade = (typeof GRADES)[number]

/** Why numbers are missing between two messages: `gap` frames of `wsproxy.v2`. */
export type NumberGapReason = ResumeReason | 'oversize_down'

/** Label `result` of `holes_total`: what became of numbers that did not arrive from the channel. */
export const HOLE_RESULTS = ['filled', 'lost'] as const
export type HoleResult = (typeof HOLE_RESULTS)[number]

/** Label `limit` of `limit_refusals_total`: the setting of a limit on upgrades. A closed list. */
export const LIMIT_NAMES = [
  'MAX_CONNECTIONS',
  'RESERVED_CONNECTIONS',
  'MAX_CONNECTIONS_PER_IP',
  'CONNECT_RATE',
  'CONNECT_RATE_PER_IP',
  'REFUSED_RATE_PER_IP',
] as const

export type LimitName = (typeof LIMIT_NAMES)[number]

/** Label `result` of `admin_calls_total`: how a request with an admin token ended. */
export const ADMIN_RESULTS = ['accepted', 'rejected', 'limited'] as const
export type AdminResult = (typeof ADMIN_RESULTS)[number]

/** Label `result` of `login_total`: how a login or a refresh ended. */
export const LOGIN_RESULTS = [
  /** The password was right. */
  'accepted',
  /** The address or the password was wrong, or the user is disabled. */
  'rejected',
  /** The address or the account had too many logins. */
  'limited',
  /** Too many passwords waited to be hashed. */
  'busy',
  /** A refresh token gave new tokens. */
  'refreshed',
  /** A refresh token was wrong or expired, or its user is gone. */
  'refresh_rejected',
  /** A refresh token came a second time, after the grace: its login was ended. */
  'reused',
  'logout',
] as const

export type LoginResult = (typeof LOGIN_RESULTS)[number]

/** Label `result` of `proxy_headers_total`: what a connection began with. */
export const PROXY_HEADERS = [
  /** A header with the address of a client. */
  'accepted',
  /** A header without one: a health check of the proxy itself. */
  'local',
  /** No header: the peer is the client. */
  'missing',
  /** A header that cannot be read; the connection was cut. */
  'malformed',
  /** The peer is not in `TRUST_PROXY_CIDR`; whatever it sends is data. */
  'untrusted',
] as const

export type ProxyHeaderResult = (typeof PROXY_HEADERS)[number]

/** What an operator names to disconnect clients: label `by` of `operator_closes_total`. */
export const DISCONNECT_KINDS = ['session', 'run', 'subject', 'address'] as const
export type DisconnectKind = (typeof DISCONNECT_KINDS)[number]

/** What came of a request to append to a stream, for the metric. */
export const APPEND_RESULTS = ['ok', 'duplicate', 'gap', 'stale', 'closed', 'refused'] as const
export type AppendResult = (typeof APPEND_RESULTS)[number]

/**
 * What a client brings to an upgrade: label `method` of `auth_total`. `shared`: WS_AUTH_TOKEN.
 * `none`: nothing, or what cannot be read.
 */
export const AUTH_METHODS = ['jwt', 'ticket', 'redis', 'shared', 'none'] as const
export type AuthMethod = (typeof AUTH_METHODS)[number]

/** What is decided about it: label `result`. `unavailable`: the key of a JWT cannot be fetched. */
export const AUTH_RESULTS = ['accepted', 'rejected', 'expired', 'unavailable'] as const
export type AuthResult = (typeof AUTH_RESULTS)[number]
