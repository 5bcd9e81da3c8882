import type { Config } from '../../config/table.ts'
import type { Source, Topic } from '../../connection/bind.ts'
import { runOf } from '../../contract/names.ts'
import { within } from '../../platform/deadline.ts'
import { type Checklist, type Fields, renderRun } from './checklist.ts'

export interface WatchParts {
  readonly options: WatchOptions
  readonly checklist: Checklist
  /**
   * Resolves with all fields of the hash at `runId`, or undefined when the key is no hash.
   * @throws RedisUnavailable
   */
  readonly read: (runId: string) => Promise<Fields | undefined>
  /** The frame of a run has changed. Sends it to every member of the topic. */
  readonly changed: (topic: Topic, frame: Buffer) => void
  /** Reads failed `runRedisMaxRetries` times in a row. Closes the members of the topic. */
  readonly gaveUp: (topic: Topic) => void
  /** Reports a read that failed, or a key that is no hash. */
  readonly fault: (runId: string, error: Error) => void
}

export type WatchOptions = Pick<
  Config,
  'runResyncIntervalMs' | 'runRedisMaxRetries' | 'runRedisTimeoutMs' | 'runRedisRetryBaseMs' | 'runRedisRetryMaxMs'
>

/** Events within this time of the last read share one read. A single change is read at once. */
const COALESCE_MS = 20
const NO_FIELDS: Fields = new Map()

/**
 * Reads one run and reports each frame that differs from the last one. At most one read is in
 * flight and one waits, and the last change always wins.
 */
class Watch {
  readonly #runId: string
  readonly #topic: Topic
  readonly #parts: WatchParts
  #frame: Buffer | undefined
  #reading = false
  #again = false
  #failures = 0
  #readAt = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  constructor(runId: string, topic: Topic, parts: WatchParts) {
    this.#runId = runId
    this.#topic = topic
    this.#parts = parts
    this.#schedule(0)
  }

  /** The last frame, or undefined before the first successful read. */
  get frame(): Buffer | undefined {
    return this.#frame
  }

  /** Redis sent an event: the hash may have changed. */
  touch(): void {
    if (this.#reading) this.#again = true
    else if (this.#failures === 0) this.#schedule(COALESCE_MS - (performance.now() - this.#readAt))
  }

  /** Redis is back: reads now, whatever is scheduled. */
  refresh(): void {
    if (this.#reading) this.#again = true
    else this.#schedule(0)
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  #schedule(ms: number): void {
    clearTimeout(this.#timer)
    if (ms <= 0) void this.#read()
    else this.#timer = setTimeout(() => void this.#read(), ms)
  }

  async #read(): Promise<void> {
    this.#reading = true
    this.#again = false
    this.#readAt = performance.now()
    try {
      // A server that hangs answers no command and closes no connection. A late answer is ignored,
      // as it may be old.
      const fields = await within(this.#parts.read(this.#runId), this.#parts.options.runRedisTimeoutMs)
      if (this.#stopped) return
      this.#failures = 0
      if (fields === undefined) this.#fault(new Error('the key is not a hash'))
      this.#show(fields ?? NO_FIELDS)
    } catch (error) {
      if (this.#stopped) return
      this.#fault(error as Error)
      // Redis is there, so another try changes nothing: the run counts as empty until its hash is
      // smaller.
      if ((error as Error).name === 'TooManyFields') {
        this.#failures = 0
        this.#show(NO_FIELDS)
      } else this.#failures++
    } finally {
      this.#reading = false
    }
    this.#next()
  }

  #next(): void {
    const { runRedisMaxRetries, runRedisRetryBaseMs, runRedisRetryMaxMs, runResyncIntervalMs } = this.#parts.options
    if (this.#failures > 0) {
      if (runRedisMaxRetries > 0 && this.#failures >= runRedisMaxRetries) return this.#parts.gaveUp(this.#topic)
      const delayMs = Math.min(runRedisRetryMaxMs, runRedisRetryBaseMs * 2 ** (this.#failures - 1))
      return this.#schedule(delayMs * (0.75 + Math.random() / 4))
    }
    if (this.#again) return this.touch()
    if (runResyncIntervalMs > 0) this.#schedule(runResyncIntervalMs)
  }

  #show(fields: Fields): void {
    let text: string
    try {
      text = renderRun(this.#parts.checklist, fields)
    } catch (error) {
      // A custom rule threw on real data: at load it is only tried with an empty hash.
      return this.#fault(error as Error)
    }
    if (this.#frame?.equals(Buffer.from(text))) return
    this.#frame = Buffer.from(text)
    this.#parts.changed(this.#topic, this.#frame)
  }

  readonly #fault = (error: Error): void => this.#parts.fault(this.#runId, error)
}

/** Keeps one watch per run that has sockets, however many these are. */
export class RunWatches implements Source {
  readonly #parts: WatchParts
  readonly #watches = new Map<Topic, Watch>()

  constructor(parts: WatchParts) {
    const gaveUp = (topic: Topic) => {
      // Its members are closed one after the other. A socket that joins them meanwhile stays open,
      // so it needs a watch that reads.
      this.#watches.delete(topic)
      parts.gaveUp(topic)
    }
    this.#parts = { ...parts, gaveUp }
  }

  /** The subscription is confirmed, so no later change is missed, and the first read may begin. */
  confirmed(topic: Topic): void {
    if (!this.#watches.has(topic)) this.#watches.set(topic, new Watch(runOf(topic.channels[0]!), topic, this.#parts))
  }

  /** Takes a keyspace event. Its content does not matter: the hash is read again. */
  render(topic: Topic): undefined {
    this.#watches.get(topic)?.touch()
  }

  /** The last member has left. */
  released(topic: Topic): void {
    this.#watches.get(topic)?.stop()
    this.#watches.delete(topic)
  }

  /** Returns the last frame of the run, if there is one. */
  frame(topic: Topic): Buffer | undefined {
    return this.#watches.get(topic)?.frame
  }

  /** Redis is back after an outage that lost events: reads every run again. */
  refresh(): void {
    for (const watch of this.#watches.values()) watch.refresh()
  }
}
