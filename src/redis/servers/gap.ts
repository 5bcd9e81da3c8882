import type { GapReason } from '../../contract/reasons.ts'

/** An interval in which messages of a server may have been lost; ms since the epoch. */
export interface Gap {
  readonly from: number
  readonly reason: GapReason
  /** Only these channels; undefined: all of the server. */
  readonly channels?: ReadonlySet<string>
}
