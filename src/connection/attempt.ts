import type { HttpResponse, us_socket_context_t } from '../platform/uws.ts'
import type { SpanHandle } from '../telemetry/tracing.ts'
import type { Credentials, TokenClaims } from './auth.ts'
import type { Connection } from './connection.ts'
import type { Admission, Door } from './door.ts'

/** An upgrade that waits for Redis. */
export interface Attempt {
  readonly door: Door
  readonly res: HttpResponse
  readonly context: us_socket_context_t
  readonly key: string
  /** The extensions that the client offers, if the door takes any. uWebSockets.js chooses. */
  readonly extensions: string
  readonly address: string
  readonly admission: Admission
  readonly credentials: Credentials
  readonly startedAt: number
  readonly traced: SpanHandle | undefined
  connection: Connection | undefined
  /** Of the JWT that it goes back to, directly or by a ticket. */
  rights: TokenClaims | undefined
  over: boolean
}
