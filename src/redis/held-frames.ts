import { cost, type Frame } from './upstream-frame.ts'

/** Frames that wait for Redis, by their order, with what each channel holds of them. */
export class HeldFrames {
  #frames: Frame[] = []
  #bytes = 0
  /** Bytes that each channel holds. */
  readonly #shares = new Map<string, number>()

  get size(): number {
    return this.#frames.length
  }

  get bytes(): number {
    return this.#bytes
  }

  get newest(): Frame | undefined {
    return this.#frames.at(-1)
  }

  bytesOf(channel: string): number {
    return this.#shares.get(channel) ?? 0
  }

  /** The channel that holds most, and its bytes; '' and 0 when no frame is held. */
  greediest(): readonly [string, number] {
    let most: readonly [string, number] = ['', 0]
    for (const share of this.#shares) if (share[1] > most[1]) most = share
    return most
  }

  /** Removes and returns the newest frame of a channel that holds one. */
  takeNewestOf(channel: string): Frame {
    const at = this.#frames.findLastIndex(({ publisher }) => publisher.channel === channel)
    const [frame] = this.#frames.splice(at, 1)
    this.#count(frame!, -1)
    return frame!
  }

  add(frame: Frame): void {
    this.#frames.splice(this.#positionOf(frame.order), 0, frame)
    this.#count(frame, 1)
  }

  takeNewest(): Frame {
    const newest = this.#frames.pop()!
    this.#count(newest, -1)
    return newest
  }

  /** Removes and returns all frames. */
  takeAll(): Frame[] {
    const all = this.#frames
    this.#frames = []
    this.#bytes = 0
    this.#shares.clear()
    return all
  }

  /** Puts frames back, in their order, behind none that came meanwhile. */
  putBack(frames: Frame[]): void {
    this.#frames = frames
    for (const frame of frames) this.#count(frame, 1)
  }

  /** Removes and returns the frames that match. */
  take(matches: (frame: Frame) => boolean): Frame[] {
    const taken: Frame[] = []
    this.putBack(
      this.takeAll().filter((frame) => {
        const isTaken = matches(frame)
        if (isTaken) taken.push(frame)
        return !isTaken
      }),
    )
    return taken
  }

  #count(frame: Frame, sign: 1 | -1): void {
    const { channel } = frame.publisher
    const bytes = sign * cost(frame)
    const share = this.bytesOf(channel) + bytes
    this.#bytes += bytes
    if (share === 0) this.#shares.delete(channel)
    else this.#shares.set(channel, share)
  }

  /** By binary search, since thousands may come back at once. */
  #positionOf(order: number): number {
    let [from, to] = [0, this.#frames.length]
    while (from < to) {
      const middle = (from + to) >> 1
      if (this.#frames[middle]!.order < order) from = middle + 1
      else to = middle
    }
    return from
  }
}
