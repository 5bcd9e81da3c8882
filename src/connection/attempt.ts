import type { SpanHandle } from '../telemetry/tracing.ts'
import type { Credentials, TokenClaims } from './auth.ts'
import type { LateVerdict } from './checks.ts'
import type { Connection } from './connection.ts'
import type { Admission, Door } from './door.ts'
import type { Entry } from './entry.ts'

/** A request that waits for Redis. */
export interface Attempt {
  readonly door: Door
  readonly entry: Entry
  readonly address: string
  /** Both are final when there is no `late`. */
  admission: Admission
  credentials: Credentials
  /** Set while the key of its JWT is fetched. */
  late: LateVerdict | undefined
  readonly startedAt: number
  readonly traced: SpanHandle | undefined
  connection: Connection | undefined
  /** Puts the token back that was taken for this attempt; undefined when none was removed. */
  giveBack: (() => void) | undefined
  /** Of the JWT that it goes back to, directly or by a ticket. */
  rights: TokenClaims | undefined
  /** An operator has ended it, so its token must not open another socket. */
  dismissed: boolean
  over: boolean
}

/**
 * Keeps how to put the token of the attempt back. A Redis that was paused runs the command of an
 * upgrade that has been refused meanwhile: then it goes back at once.
 */
export function tokenRemoved(attempt: Attempt, giveBack: () => void): void {
  if (!attempt.over) attempt.giveBack = giveBack
  else if (!attempt.dismissed) giveBack()
}
