import type { Close, Refusal } from '../contract/codes.ts'
import type { PathPattern } from '../http/path.ts'
import type { Rights, TokenClaims } from './auth.ts'
import type { Source } from './bind.ts'
import type { Connection, SocketDoor } from './connection.ts'

/**
 * One kind of socket: its path, its admission, and what `SocketDoor` decides. The state of each
 * socket is in its `Connection`.
 */
export interface Door extends SocketDoor {
  readonly path: PathPattern
  /** Origins that may connect. Default: those of the whole gateway. */
  readonly allowedOrigins?: readonly string[]
  /** The subprotocols that it speaks. Default: `wsproxy.v1`. */
  readonly protocols?: readonly string[]
  /**
   * Reads the path parameters and the query. It is synchronous: Redis is asked later.
   * @param protocol the subprotocol that will be answered; '' for none.
   * @param lastEventId of a stream: the header of that name; '' for none.
   */
  admit(ids: readonly string[], query?: string, protocol?: string, lastEventId?: string): Admission | Refusal
  /**
   * Returns the admission of a client whose JWT has these rights, with what it allows in
   * `doorState`; undefined when it allows none. A door without it accepts no JWT.
   */
  grants?(admission: Admission, rights: Rights, query: string): Admission | undefined
  /**
   * Returns the close that replaces this refusal: the upgrade is completed and the socket closed at
   * once, without a frame, because a browser does not show the HTTP answer to a page. Undefined:
   * the refusal answers the upgrade.
   * @param protocol the subprotocol that is answered; '' for none.
   */
  refusalAsClose?(refusal: Refusal, protocol: string): Close | undefined
}

/** Why a ticket is refused, for the log; or the claims of the JWT that it goes back to, if any. */
export type TicketVerdict = { readonly fault: string } | { readonly claims: TokenClaims | undefined }

/** A well-formed request to a door: which client, which credentials, which topics. */
export interface Admission {
  readonly kind: 'admission'
  readonly subject: string
  /** Key of the expected token in Redis; undefined: the door checks no token in Redis. */
  readonly tokenKey: string | undefined
  /** Whether Redis forgets a token with its use. A stream refuses such a token. */
  readonly spendsTokens?: boolean
  /** Whether a token is right, where that is known without Redis. */
  readonly accepts?: (token: string) => boolean
  /**
   * Judges a ticket that stands for the token. Undefined: the door refuses tickets.
   * @param isExposed it came in a query or a cookie.
   * @throws RedisUnavailable
   */
  readonly checkTicket?: ((ticket: string, isExposed: boolean) => Promise<TicketVerdict>) | undefined
  readonly source: Source
  /**
   * The upgrade is refused with `redis-unavailable` while the Redis server of this channel is away.
   */
  readonly redisChannel: string
  /** The topics that the socket starts with, each by its channels. */
  readonly topics: readonly (readonly string[])[]
  /**
   * Whether a topic that Redis forbids refuses the upgrade. If not, the client does without that
   * topic.
   */
  readonly topicsRequired: boolean
  /** Awaited together with the topics; the upgrade is refused when it rejects. */
  readonly ready?: () => Promise<void>
  /**
   * Awaited when Redis has confirmed the topics; the upgrade is refused when it rejects. What it
   * enqueues goes out first.
   */
  readonly prepare?: ((connection: Connection) => Promise<void>) | undefined
  /**
   * Awaited when the credential is right and the topics are confirmed. It must not reject: the
   * credential is spent.
   */
  readonly admitted?: ((connection: Connection) => Promise<void>) | undefined
  /** What the door keeps for this socket: `Connection.doorState`. */
  readonly doorState?: object
  /**
   * Called before any message can come from Redis: what it enqueues is what the client gets first.
   */
  readonly onBound?: (connection: Connection) => void
}

/** Stands for the door of a path that no door has, in logs and metrics. */
export const NO_DOOR = { name: 'none', subjectName: 'path' }
