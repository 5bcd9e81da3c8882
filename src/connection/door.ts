import type { Close, Refusal } from '../contract/codes.ts'
import type { PathPattern } from '../http/path.ts'
import type { DoorStats } from '../telemetry/metrics.ts'
import type { Source } from './bind.ts'
import type { Connection, Heartbeat, IdleTimeout } from './connection.ts'

/** What is particular to one kind of socket. A door keeps no state of its sockets: that is the connection's. */
export interface Door {
  /** Metric label and log field. */
  readonly name: string
  /** What the log calls the subject: `session`, `run`. */
  readonly subjectName: string
  readonly path: PathPattern
  readonly maxMessageBytes: number
  /** A text frame up to this size is dropped and told of by `oversized`; past it, and where this is missing, the socket is closed. */
  readonly maxForgivenBytes?: number
  /** How many frames in a row may be dropped because the send buffer is full, until the socket is closed for it. By default 1. */
  readonly maxDrops?: number
  /** Whether frames are offered permessage-deflate (RFC 7692). */
  readonly compressed?: boolean
  /** Origins that may connect, where they are others than those of all doors. */
  readonly allowedOrigins?: readonly string[]
  /** Client frames: one in `intervalMs` on average (0: no limit), `burst` at once. */
  readonly rate: { readonly intervalMs: number; readonly burst: number }
  readonly idleTimeout: IdleTimeout | undefined
  readonly heartbeat?: Heartbeat
  readonly stats: DoorStats
  /** Reads the path and the query. Asks nobody. */
  admit(ids: readonly string[], query?: string): Admission | Refusal
  /**
   * The close by which a client learns of this refusal: the upgrade is completed and the socket closed at once, without a frame, since a browser
   * shows a page no HTTP answer. Undefined, or missing: the refusal is the answer to the upgrade.
   */
  refusalAsClose?(refusal: Refusal): Close | undefined
  /** The socket is open: what it gets first. */
  opened?(connection: Connection): void
  /** A text frame of a client, within size and rate. It is only valid during the call. */
  receive(connection: Connection, frame: Buffer): void
  /** A text frame was dropped for the rate; called at most once in 5 s per socket. */
  rateLimited(connection: Connection): void
  /** The unsent bytes of a socket have passed half of its buffer (true), or are below it again, or it is gone (false). */
  pressure?(connection: Connection, slow: boolean): void
  /** A text frame of up to `maxForgivenBytes` was dropped. */
  oversized?(connection: Connection): void
  /** The frame before a close that the server starts, if this door says goodbye for that. */
  goodbye(close: Close, reconnectAfterMs: number): Buffer | undefined
  /** The socket is gone; nothing may be sent to it. */
  closed?(connection: Connection): void
}

/** Who wants in, and what for. */
export interface Admission {
  readonly kind: 'admission'
  readonly subject: string
  /** Key of the expected token; undefined: no credentials are asked for. */
  readonly tokenKey: string | undefined
  /** Whether a token is right, where that is known without asking Redis. */
  readonly accepts?: (token: string) => boolean
  readonly source: Source
  /** The upgrade is refused with `redis-unavailable` while the Redis server of this channel is away. */
  readonly redisChannel: string
  /** The topics that the socket starts with, each by its channels. */
  readonly topics: readonly (readonly string[])[]
  /** Whether a topic that Redis forbids refuses the upgrade. If not, the client does without that topic. */
  readonly topicsRequired: boolean
  /** What the door keeps for this socket: `Connection.doorState`. */
  readonly doorState?: object
  /** Called before anything can come from Redis: what it enqueues is what the client gets first. */
  readonly onBound?: (connection: Connection) => void
}
