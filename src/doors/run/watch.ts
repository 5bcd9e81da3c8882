import type { Config } from '../../config/table.ts'
import type { Source, Topic } from '../../connection/bind.ts'
import { runOf } from '../../contract/names.ts'
import { within } from '../../platform/deadline.ts'
import { type Checklist, type Fields, renderRun } from './checklist.ts'

/** What a watch needs of the world outside. */
export interface WatchParts {
  readonly options: WatchOptions
  readonly checklist: Checklist
  /** All fields of the hash at `runId`; undefined when something else is kept there. @throws RedisUnavailable */
  readonly read: (runId: string) => Promise<Fields | undefined>
  /** The frame of a run has changed: every member of the topic is to get it. */
  readonly changed: (topic: Topic, frame: Buffer) => void
  /** Redis did not answer so often that this run is given up. */
  readonly gaveUp: (topic: Topic) => void
  /** A read failed or found something else than a hash. */
  readonly fault: (runId: string, error: Error) => void
}

export interface WatchOptions extends Pick<Config, 'runResyncIntervalMs' | 'runRedisMaxRetries'> {
  /** How long a read may take. */
  readonly readTimeoutMs: number
}

/** Events that come within so long of the last read share one; a single change is read at once. */
const COALESCE_MS = 20
const RETRY_BASE_MS = 250
const RETRY_MAX_MS = 5000
const NO_FIELDS: Fields = new Map()

/** Reads one run and tells when its frame differs: at most one read under way and one waiting, and the last change always wins. */
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

  /** The last frame; undefined before the first read has succeeded. */
  get frame(): Buffer | undefined {
    return this.#frame
  }

  /** The hash may have changed. */
  touch(): void {
    if (this.#reading) this.#again = true
    else if (this.#failures === 0) this.#schedule(COALESCE_MS - (performance.now() - this.#readAt))
  }

  /** Redis is back: whatever was planned, read now. */
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
      // A server that hangs answers no command and closes no connection. What comes too late is not looked at any more: it may be old.
      const fields = await within(this.#parts.read(this.#runId), this.#parts.options.readTimeoutMs)
      if (this.#stopped) return
      this.#failures = 0
      if (fields === undefined) this.#fault(new Error('there is something else than a hash at the key'))
      this.#show(fields ?? NO_FIELDS)
    } catch (error) {
      if (this.#stopped) return
      this.#failures++
      this.#fault(error as Error)
    } finally {
      this.#reading = false
    }
    this.#next()
  }

  #next(): void {
    const { runRedisMaxRetries, runResyncIntervalMs } = this.#parts.options
    if (this.#failures > 0) {
      if (runRedisMaxRetries > 0 && this.#failures >= runRedisMaxRetries) return this.#parts.gaveUp(this.#topic)
      return this.#schedule(Math.min(RETRY_MAX_MS, RETRY_BASE_MS * 2 ** this.#failures) * (0.75 + Math.random() / 4))
    }
    if (this.#again) return this.touch()
    if (runResyncIntervalMs > 0) this.#schedule(runResyncIntervalMs)
  }

  #show(fields: Fields): void {
    let text: string
    try {
      text = renderRun(this.#parts.checklist, fields)
    } catch (error) {
      // A rule of a module that was loaded: the fields are of a kind that it was not tried with.
      return this.#fault(error as Error)
    }
    if (this.#frame?.equals(Buffer.from(text))) return
    this.#frame = Buffer.from(text)
    this.#parts.changed(this.#topic, this.#frame)
  }

  readonly #fault = (error: Error): void => this.#parts.fault(this.#runId, error)
}

/** The watches of all runs that some socket looks at: one a run, however many sockets. */
export class RunWatches implements Source {
  readonly #parts: WatchParts
  readonly #watches = new Map<Topic, Watch>()

  constructor(parts: WatchParts) {
    this.#parts = parts
  }

  /** The subscription is confirmed, so that no change is missed from here on: the first read may begin. */
  confirmed(topic: Topic): void {
    if (!this.#watches.has(topic)) this.#watches.set(topic, new Watch(runOf(topic.channels[0]!), topic, this.#parts))
  }

  /** A keyspace event. What it says is not looked at: the hash is. */
  render(topic: Topic): undefined {
    this.#watches.get(topic)?.touch()
  }

  /** The last member has left. */
  released(topic: Topic): void {
    this.#watches.get(topic)?.stop()
    this.#watches.delete(topic)
  }

  /** The last frame of the run, when there is one. */
  frame(topic: Topic): Buffer | undefined {
    return this.#watches.get(topic)?.frame
  }

  /** Redis is back after an outage, in which events were lost: everything is read again. */
  refresh(): void {
    for (const watch of this.#watches.values()) watch.refresh()
  }
}
