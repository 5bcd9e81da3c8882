import { Ranking } from './ranking.ts'
import { cost, type Frame } from './upstream-frame.ts'

/** What can be full: the number of held frames, or their bytes. */
export type HeldLimit = 'messages' | 'bytes'

/** What one channel holds. */
interface Share {
  /** By their order. */
  readonly frames: Frame[]
  bytes: number
}

type Rankings = Readonly<Record<HeldLimit, Ranking<Share>>>

/** Frames that wait for Redis, by their order, with what each channel holds of them. */
export class HeldFrames {
  /** The last one is never among those that left early. */
  #frames: Frame[] = []
  /** Orders of frames that left early and still stand in `#frames`: to move the rest costs more. */
  readonly #left = new Set<number>()
  #bytes = 0
  readonly #shares = new Map<string, Share>()
  /** Made when a limit is reached, so that frames which find room pay for no ranking. */
  #rankings: Rankings | undefined

  get size(): number {
    return this.#frames.length - this.#left.size
  }

  get bytes(): number {
    return this.#bytes
  }

  get newest(): Frame | undefined {
    return this.#frames.at(-1)
  }

  has(channel: string): boolean {
    return this.#shares.has(channel)
  }

  /**
   * The channel that holds most of what is limited, where that is more than the channel of `frame`
   * would hold. Undefined when no channel holds more: then `frame` is the one to refuse.
   */
  greedierThan(frame: Frame, limit: HeldLimit): string | undefined {
    this.#rankings ??= {
      messages: new Ranking(this.#shares.values(), ({ frames }) => frames.length),
      bytes: new Ranking(this.#shares.values(), ({ bytes }) => bytes),
    }
    const most = this.#rankings[limit].first
    if (most === undefined) return undefined
    const own = this.#shares.get(frame.publisher.channel) ?? { frames: [], bytes: 0 }
    const isGreedier =
      limit === 'messages' ? most.frames.length > own.frames.length + 1 : most.bytes > own.bytes + cost(frame)
    return isGreedier ? most.frames[0]!.publisher.channel : undefined
  }

  /** Removes and returns the newest frame of a channel that holds one. */
  takeNewestOf(channel: string): Frame {
    const frame = this.#shares.get(channel)!.frames.at(-1)!
    this.#uncount(frame)
    this.#left.add(frame.order)
    if (this.newest === frame || this.#left.size * 2 > this.#frames.length) this.#forgetLeft()
    return frame
  }

  add(frame: Frame): void {
    insert(this.#frames, frame)
    this.#count(frame)
  }

  takeNewest(): Frame {
    const newest = this.newest!
    return this.takeNewestOf(newest.publisher.channel)
  }

  /** Removes and returns all frames. */
  takeAll(): Frame[] {
    const all = this.#present()
    this.#frames = []
    this.#left.clear()
    this.#bytes = 0
    this.#shares.clear()
    this.#rankings = undefined
    return all
  }

  /** Puts frames back, in their order, behind none that came meanwhile. */
  putBack(frames: Frame[]): void {
    this.#frames = frames
    for (const frame of frames) this.#count(frame)
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

  #present(): Frame[] {
    return this.#left.size === 0 ? this.#frames : this.#frames.filter(({ order }) => !this.#left.has(order))
  }

  /** Removes frames that left early: those at the end, or all when they are the greater part. */
  #forgetLeft(): void {
    if (this.#left.size * 2 > this.#frames.length) {
      this.#frames = this.#present()
      this.#left.clear()
      return
    }
    while (this.newest && this.#left.delete(this.newest.order)) this.#frames.pop()
  }

  #count(frame: Frame): void {
    const { channel } = frame.publisher
    let share = this.#shares.get(channel)
    if (share === undefined) {
      share = { frames: [], bytes: 0 }
      this.#shares.set(channel, share)
    }
    insert(share.frames, frame)
    share.bytes += cost(frame)
    this.#bytes += cost(frame)
    this.#rank(share)
  }

  #uncount(frame: Frame): void {
    const { channel } = frame.publisher
    const share = this.#shares.get(channel)!
    share.frames.pop()
    share.bytes -= cost(frame)
    this.#bytes -= cost(frame)
    this.#rank(share)
    if (share.frames.length === 0) this.#shares.delete(channel)
  }

  #rank(share: Share): void {
    this.#rankings?.messages.changed(share)
    this.#rankings?.bytes.changed(share)
  }
}

/** Inserts a frame by its order: by binary search, since thousands may come back at once. */
function insert(frames: Frame[], frame: Frame): void {
  let [from, to] = [0, frames.length]
  if ((frames.at(-1)?.order ?? -1) < frame.order) from = to
  while (from < to) {
    const middle = (from + to) >> 1
    if (frames[middle]!.order < frame.order) from = middle + 1
    else to = middle
  }
  if (from === frames.length) frames.push(frame)
  else frames.splice(from, 0, frame)
}
