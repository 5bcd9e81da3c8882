import { isUtf8 } from 'node:buffer'
import { asError } from '../platform/reason.ts'
import { LineSampler } from '../telemetry/sampler.ts'
import { forgetShared } from './backlog.ts'
import type { Batch, Bindings, Topic } from './bind.ts'
import { type Connection, Phase } from './connection.ts'
import { type LevelOptions, Levels } from './levels.ts'
import { Turn } from './turn.ts'
import type { UnsentBytes } from './unsent.ts'
import { drained, dropUnsent, look, Written, write } from './write.ts'

/**
 * Bytes that may wait for one socket within one tick; past it they are written at once, so that a
 * tick is bounded too.
 */
const MAX_TICK_BYTES = 1024 * 1024
/** Room beyond the buffer for the goodbye of a socket whose buffer is full. */
const LAST_BYTES = 4096

export interface DeliverOptions extends LevelOptions {
  /** A larger message from Redis is sent to no socket. */
  readonly maxDownBytes: number
  /** Keeps the sum of all unsent bytes, and closes sockets when it is too large. */
  readonly unsent: UnsentBytes
  /**
   * Called when the buffer of a socket had no room for a frame that may not be dropped: the socket
   * must be closed.
   */
  readonly tooSlow: (connection: Connection) => void
}

/**
 * Turns one Redis message into one frame for every member of its topic. What a socket gets within
 * one tick (a turn of the event loop, or several: see `Turn`) is written under one cork, which
 * makes it one send() system call: that call is nearly all that a message costs.
 */
export class Delivery {
  readonly #bindings: Bindings
  readonly #options: DeliverOptions
  readonly #levels: Levels
  readonly #turn = new Turn(() => this.#flushAll())
  /** The connections with frames that wait for the end of this tick. */
  #dirty: Connection[] = []
  /** When the tick began, in whole milliseconds, as the times of a connection are. */
  #tickMs = 0
  #sent = 0
  #corked: Connection | undefined
  /** The last frame of this tick that was copied. */
  #copied: { readonly frame: Buffer; readonly copy: Buffer } | undefined
  readonly #largeLines = new LineSampler()
  readonly #writeCorked = () => this.#writePending(this.#corked!)

  constructor(bindings: Bindings, options: DeliverOptions) {
    this.#bindings = bindings
    this.#options = options
    this.#levels = new Levels(options)
  }

  /**
   * Delivers a message that arrived from Redis for the subscribed channel or pattern `wanted`.
   * `message` may be a view of the batch, which is held until its frames are written.
   */
  readonly message = (wanted: string, message: Buffer, channel: string, batch: Batch): void => {
    this.#options.metrics.received.redis++
    const topic = this.#bindings.find(wanted)
    if (topic === undefined) return
    try {
      if (message.length > this.#options.maxDownBytes) return this.#tooLarge(topic, channel, message)
      const frame = topic.source.render(topic, message, channel, batch)
      if (frame !== undefined) this.fanOut(topic, frame, frame === message && batch.ascii)
    } finally {
      // Also when a door throws: some members may have its frame.
      this.#turn.read(batch)
    }
  }

  /**
   * Enqueues one frame for every member of a topic.
   * @param ascii the frame is known to be ASCII, so it needs no check.
   */
  fanOut(topic: Topic, frame: Buffer, ascii = false): void {
    const { members } = topic
    const text = ascii || isUtf8(frame)
    let isLarge = false
    for (let i = 0; i < members.length; i++) {
      const member = members[i]!
      if (!text) member.hasSentBinary = true
      if (this.#push(member, frame)) isLarge = true
      member.active(this.#tickMs)
    }
    // Not in the loop above: a write may close any member, which changes the list.
    if (isLarge) for (const member of members.slice()) if (member.pendingBytes > MAX_TICK_BYTES) this.flush(member)
  }

  /** Enqueues a message for one socket. @param isText the frame is UTF-8. */
  deliver(connection: Connection, frame: Buffer, isText = isUtf8(frame)): void {
    if (!isText) connection.hasSentBinary = true
    if (this.#push(connection, frame)) this.flush(connection)
    connection.active(this.#tickMs)
  }

  /**
   * Returns whether half of the send buffer stays free with so many bytes more, or nothing waits.
   * Writes what waits in this tick if that is in the way.
   */
  makeRoom(connection: Connection, bytes: number): boolean {
    if (this.#hasRoom(connection, bytes)) return true
    if (connection.buffered > 0 || connection.phase !== Phase.open) return false
    this.flush(connection)
    return this.#hasRoom(connection, bytes)
  }

  /** The door is called with the level `low` when the socket, which has no room, has read on. */
  awaitRoom(connection: Connection): void {
    if (connection.phase === Phase.open) this.#levels.raise(connection)
  }

  #hasRoom({ buffered, pendingBytes }: Connection, bytes: number): boolean {
    const waiting = buffered + pendingBytes
    return waiting === 0 || waiting + bytes <= this.#levels.highBytes
  }

  /**
   * Enqueues one frame for one socket, in order with all others. The frame is dropped if the socket
   * is closing or gone.
   */
  enqueue(connection: Connection, frame: Buffer): void {
    if (this.#push(connection, frame)) this.flush(connection)
  }

  /** Returns whether so much waits in this tick that it must be written at once. */
  #push(connection: Connection, frame: Buffer): boolean {
    if (connection.phase > Phase.open) return false
    const kept = connection.phase === Phase.open ? frame : this.#copyOf(frame)
    if (connection.pending === undefined) {
      connection.pending = kept
      if (this.#dirty.push(connection) === 1) this.#startTick()
    } else if (connection.morePending === undefined) connection.morePending = [kept]
    else connection.morePending.push(kept)
    connection.pendingBytes += frame.length
    return connection.pendingBytes > MAX_TICK_BYTES
  }

  /**
   * Until a socket is open a frame waits longer than its batch is held. After an outage that may be
   * a crowd, which shares one copy.
   */
  #copyOf(frame: Buffer): Buffer {
    if (this.#copied?.frame !== frame) this.#copied = { frame, copy: Buffer.from(frame) }
    return this.#copied.copy
  }

  /**
   * Writes what waits for this socket now. During the upgrade it writes nothing: those frames wait
   * until the socket is open.
   */
  flush(connection: Connection): void {
    const { phase, pending, morePending, pendingBytes } = connection
    // One frame alone fits every socket.
    if (phase === Phase.accepting && morePending !== undefined && pendingBytes > this.#options.maxBufferBytes)
      this.#full(connection)
    if (phase !== Phase.open || pending === undefined) return
    if (morePending === undefined) this.#writePending(connection)
    else {
      this.#corked = connection
      connection.wire!.cork(this.#writeCorked)
      this.#corked = undefined
      if (connection.door.stream !== undefined) this.#look(connection)
    }
    if (connection.buffered > this.#levels.highBytes) this.#levels.raise(connection)
    this.#options.unsent.relieve()
  }

  /** A stream only knows when its cork ends whether what was written under it has left. */
  #look(connection: Connection): void {
    const before = connection.buffered
    look(connection)
    this.#options.unsent.changed(before, connection.buffered)
  }

  /** The most that waits for a socket, apart from one message that found nothing waiting. */
  get maxUnsentBytes(): number {
    return this.#options.maxBufferBytes + LAST_BYTES
  }

  /** Writes the frame that goes before the close, even if the buffer is full. */
  last(connection: Connection, frame: Buffer): void {
    this.#write(connection, frame, this.maxUnsentBytes)
  }

  /** The kernel has taken some of what was buffered for this socket, or a pong has joined it. */
  drained(connection: Connection): void {
    const before = connection.buffered
    drained(connection)
    this.#options.unsent.changed(before, connection.buffered)
    if (connection.buffered <= this.#levels.lowBytes) this.#levels.lower(connection)
    this.#options.unsent.relieve()
  }

  /** Drops what waits for a socket that is gone. */
  forget(connection: Connection): void {
    this.#options.unsent.changed(connection.buffered, 0)
    dropUnsent(connection)
    connection.pending = undefined
    connection.morePending = undefined
    this.#levels.lower(connection)
  }

  #startTick(): void {
    this.#turn.start()
    this.#tickMs = Math.floor(this.#turn.startedAt)
  }

  #flushAll(): void {
    const dirty = this.#dirty
    this.#dirty = []
    const { metrics } = this.#options
    const before = this.#sent
    for (let i = 0; i < dirty.length; i++) this.#flushGuarded(dirty[i]!)
    forgetShared()
    this.#copied = undefined
    const seconds = (performance.now() - this.#turn.startedAt) / 1000
    metrics.latency.observe(seconds, this.#sent - before)
  }

  /** A door of one's own may throw when it hears of backpressure. */
  #flushGuarded(connection: Connection): void {
    try {
      this.flush(connection)
    } catch (error) {
      this.#options.metrics.error('internal')
      this.#options.log.connection(connection).error({ err: asError(error) }, 'writing to a socket failed')
    }
  }

  #writePending(connection: Connection): void {
    const { pending, morePending } = connection
    connection.pending = undefined
    connection.morePending = undefined
    connection.pendingBytes = 0
    const frames = 1 + (morePending?.length ?? 0)
    let next = 0
    while (next < frames && this.#offer(connection, next === 0 ? pending! : morePending![next - 1]!)) next++
    if (next === frames) return
    this.#lost(connection, frames - next)
    this.#full(connection)
  }

  /**
   * Writes a frame, or drops it if the door allows that. Returns false when the socket must be
   * closed.
   */
  #offer(connection: Connection, frame: Buffer): boolean {
    if (this.#write(connection, frame)) return true
    if (connection.consecutiveDrops >= (connection.door.maxDrops ?? 1)) return false
    this.#lost(connection, 1)
    return true
  }

  #lost(connection: Connection, frames: number): void {
    connection.door.stats.dropped += frames
    this.#options.metrics.lose('slow_client', frames)
  }

  /** Returns false when the buffer is full. */
  #write(connection: Connection, frame: Buffer, maxBytes = this.#options.maxBufferBytes): boolean {
    const binary = connection.hasSentBinary && !isUtf8(frame)
    const before = connection.buffered
    const written = write(connection, frame, binary, maxBytes)
    if (connection.buffered !== before) this.#options.unsent.changed(before, connection.buffered)
    if (written === Written.full) return false
    const { stats } = connection.door
    this.#sent++
    stats.framesOut++
    stats.bytesOut += frame.length
    return true
  }

  #tooLarge(topic: Topic, channel: string, message: Buffer): void {
    const { metrics, log, maxDownBytes } = this.#options
    metrics.lose('oversize_down')
    topic.source.tooLarge?.(topic, message)
    const skipped = this.#largeLines.take(channel)
    if (skipped === undefined) return
    const detail = { event: 'message-too-large', channel, bytes: message.length, maxBytes: maxDownBytes, skipped }
    log.warn(detail, 'a message from Redis is larger than MAX_DOWN_MESSAGE_BYTES and was sent to no socket')
  }

  #full(connection: Connection): void {
    this.#options.metrics.backpressure.inc({ stage: 'full' })
    this.#options.tooSlow(connection)
  }
}
