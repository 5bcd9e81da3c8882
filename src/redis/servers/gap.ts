import type { GapReason } from '../../contract/reasons.ts'

/**
 * An interval in which messages from one server may have been lost. Times are ms since the epoch.
 */
export interface Gap {
  readonly from: number
  readonly reason: GapReason
  /** The channels that the gap affects; undefined: every channel of the server. */
  readonly channels?: ReadonlySet<string>
}

/** The gap of one server from its first loss until it is reported. Further losses extend it. */
export class OpenGap {
  #gap: Gap | undefined

  /** Undefined: no loss since the last report. */
  get current(): Gap | undefined {
    return this.#gap
  }

  /**
   * Messages of every channel may be lost since `from`. An open gap of the whole server keeps its
   * reason and its start, because the new loss follows from the old one. An open gap of some
   * channels grows to all channels.
   */
  open(reason: GapReason, from: number): void {
    if (this.#gap === undefined) this.#gap = { from, reason }
    else if (this.#gap.channels) this.#gap = { from: Math.min(from, this.#gap.from), reason }
  }

  /** Messages of `gap.channels` may be lost since `gap.from`. */
  add(gap: Gap & { readonly channels: ReadonlySet<string> }): void {
    if (this.#gap === undefined) {
      this.#gap = gap
      return
    }
    const from = Math.min(gap.from, this.#gap.from)
    const { channels } = this.#gap
    this.#gap = channels ? { ...gap, from, channels: new Set([...channels, ...gap.channels]) } : { ...this.#gap, from }
  }

  /** Replaces the reason `assumed`, if the gap has it, by the one that was found out later. */
  correctReason(assumed: GapReason, found: GapReason): void {
    if (this.#gap?.reason === assumed) this.#gap = { ...this.#gap, reason: found }
  }

  /** Returns the gap and forgets it. */
  take(): Gap | undefined {
    const gap = this.#gap
    this.#gap = undefined
    return gap
  }
}
