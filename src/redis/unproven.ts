import type { ChannelPublisher, CommandLink } from './upstream-frame.ts'

/**
 * Counts, per client, the frames that a server took since it last proved to be the master. After a
 * fail-over behind one address the old master takes PUBLISH as before, and no agent hears it. Costs
 * a comparison and an addition a frame, and one entry a client and second.
 */
export class UnprovenFrames {
  readonly #publishers = new Set<ChannelPublisher>()

  /** A server has answered a frame of this client. */
  took(publisher: ChannelPublisher): void {
    const link = publisher.link!
    // A server that does not say its role never proves anything.
    if (link.masterAt === undefined) return
    if (publisher.proof !== link.proof) {
      publisher.proof = link.proof
      publisher.unproven = 0
      this.#publishers.add(publisher)
    }
    publisher.unproven++
  }

  /** The server is still the master: all that was counted for it has reached a master. */
  proved(link: CommandLink): void {
    for (const publisher of this.#publishers) if (publisher.link === link) this.#forget(publisher)
  }

  /**
   * The server is a replica. Returns the clients of its unproven frames, and forgets their counts.
   */
  take(link: CommandLink): { readonly publisher: ChannelPublisher; readonly frames: number }[] {
    const taken = [...this.#publishers].filter((publisher) => publisher.link === link)
    return taken.map((publisher) => ({ publisher, frames: this.#forget(publisher) }))
  }

  #forget(publisher: ChannelPublisher): number {
    const { unproven } = publisher
    this.#publishers.delete(publisher)
    publisher.unproven = 0
    publisher.proof = 0
    return unproven
  }
}
