import { isUtf8 } from 'node:buffer'
import type { Logger } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Batch, Bindings, Topic } from './bind.ts'
import { type Connection, Phase, Written } from './connection.ts'

/** What a socket may have waiting within one tick before it is written at once: a tick is bounded too. */
const MAX_TICK_BYTES = 1024 * 1024
/** Room for the last frame of a socket whose buffer is full. */
const LAST_BYTES = 4096

export interface DeliverOptions {
  /** Unsent bytes per socket, in user space. */
  readonly maxBufferBytes: number
  readonly metrics: Metrics
  readonly log: Logger
  /** The socket's buffer is full: a frame could not be taken, so the socket must go. */
  readonly tooSlow: (connection: Connection) => void
}

/**
 * From one Redis message to one frame to every bound socket. What a socket gets within one turn of the event loop is written under one
 * cork, which makes it one send() system call: that call is nearly all that a message costs.
 */
export class Delivery {
  readonly #bindings: Bindings
  readonly #options: DeliverOptions
  readonly #slowBytes: number
  readonly #warnBytes: number
  #dirty: Connection[] = []
  #tickStartedAt = 0
  /** The same, as the times of a socket are. */
  #tickMs = 0
  #sent = 0
  #corked: Connection | undefined
  readonly #flushTick = () => this.#flushAll()
  readonly #writeCorked = () => this.#writePending(this.#corked!)

  constructor(bindings: Bindings, options: DeliverOptions) {
    this.#bindings = bindings
    this.#options = options
    this.#slowBytes = options.maxBufferBytes * 0.5
    this.#warnBytes = options.maxBufferBytes * 0.8
  }

  /**
   * A message has arrived from Redis, for the channel or pattern `wanted`. `message` may be a view of a larger buffer, as long as nobody writes
   * to that buffer again.
   */
  readonly message = (wanted: string, message: Buffer, channel: string, batch: Batch): void => {
    this.#options.metrics.received.redis++
    const topic = this.#bindings.find(wanted)
    if (topic === undefined) return
    const frame = topic.source.render(topic, message, channel, batch)
    if (frame !== undefined) this.fanOut(topic, frame, frame === message && batch.ascii)
  }

  /** One frame to every member of a topic. `ascii`: it is known to be nothing else. */
  fanOut(topic: Topic, frame: Buffer, ascii = false): void {
    const { members } = topic
    const text = ascii || isUtf8(frame)
    // Backwards: a member whose buffer proves to be full leaves meanwhile, and the last one takes its place.
    for (let i = members.length - 1; i >= 0; i--) {
      const member = members[i]!
      if (!text) member.mixed = true
      this.enqueue(member, frame)
      member.lastActivityAt = this.#tickMs
    }
  }

  /** One frame to one socket, in order with all others. */
  enqueue(connection: Connection, frame: Buffer): void {
    if (connection.phase > Phase.open) return
    if (connection.first === undefined) {
      connection.first = frame
      if (this.#dirty.push(connection) === 1) {
        this.#tickStartedAt = performance.now()
        this.#tickMs = Math.floor(this.#tickStartedAt)
        setImmediate(this.#flushTick)
      }
    } else if (connection.rest === undefined) connection.rest = [frame]
    else connection.rest.push(frame)
    connection.pendingBytes += frame.length
    if (connection.pendingBytes > MAX_TICK_BYTES) this.flush(connection)
  }

  /** Writes what waits for this socket now. Does nothing while the upgrade is not complete: what came until then is written when it is. */
  flush(connection: Connection): void {
    if (connection.phase === Phase.accepting && connection.pendingBytes > this.#options.maxBufferBytes)
      this.#full(connection)
    if (connection.phase !== Phase.open || connection.first === undefined) return
    if (connection.rest === undefined) this.#writePending(connection)
    else {
      this.#corked = connection
      connection.ws!.cork(this.#writeCorked)
      this.#corked = undefined
    }
    if (connection.buffered > this.#slowBytes) this.#pressed(connection)
  }

  /** Writes one frame although the buffer is full: the one that goes before the close. */
  last(connection: Connection, frame: Buffer): void {
    this.#write(connection, frame, this.#options.maxBufferBytes + LAST_BYTES)
  }

  #flushAll(): void {
    const dirty = this.#dirty
    this.#dirty = []
    const { metrics } = this.#options
    const before = this.#sent
    for (let i = 0; i < dirty.length; i++) this.flush(dirty[i]!)
    const seconds = (performance.now() - this.#tickStartedAt) / 1000
    metrics.latency.observe(seconds, this.#sent - before)
  }

  #writePending(connection: Connection): void {
    const { first, rest } = connection
    connection.first = undefined
    connection.rest = undefined
    connection.pendingBytes = 0
    const frames = 1 + (rest?.length ?? 0)
    let next = 0
    while (next < frames && this.#offer(connection, next === 0 ? first! : rest![next - 1]!)) next++
    if (next === frames) return
    this.#lost(connection, frames - next)
    this.#full(connection)
  }

  /** Writes a frame, or drops it where the door takes that. False: the socket has to go, and this frame with all behind it. */
  #offer(connection: Connection, frame: Buffer): boolean {
    if (this.#write(connection, frame)) {
      connection.drops = 0
      return true
    }
    if (++connection.drops >= (connection.door.maxDrops ?? 1)) return false
    this.#lost(connection, 1)
    return true
  }

  #lost(connection: Connection, frames: number): void {
    connection.door.stats.dropped += frames
    this.#options.metrics.lose('slow_client', frames)
  }

  /** False when the buffer is full. */
  #write(connection: Connection, frame: Buffer, maxBytes = this.#options.maxBufferBytes): boolean {
    const binary = connection.mixed && !isUtf8(frame)
    if (connection.write(frame, binary, maxBytes) === Written.full) return false
    const { stats } = connection.door
    this.#sent++
    stats.framesOut++
    stats.bytesOut += frame.length
    return true
  }

  #full(connection: Connection): void {
    this.#options.metrics.backpressure.inc({ stage: 'full' })
    this.#options.tooSlow(connection)
  }

  #pressed(connection: Connection): void {
    if (!connection.slow) {
      connection.slow = true
      connection.door.pressure?.(connection, true)
    }
    if (connection.warned || connection.buffered <= this.#warnBytes) return
    connection.warned = true
    this.#options.metrics.backpressure.inc({ stage: 'warning' })
    this.#options.log
      .connection(connection)
      .warn({ event: 'backpressure', bufferedBytes: connection.buffered }, 'client is slow')
  }
}
