import { write } from 'node:fs'
import { within } from '../platform/deadline.ts'

/** Bytes of lines that wait for their reader. Beyond it the newest lines are dropped. */
const MAX_WAITING_BYTES = 1024 * 1024
/** A full pipe is tried again after this time. */
const FULL_RETRY_MS = 100
/** A write that failed otherwise (a full disk, a reader that is gone) after this one. */
const FAILED_RETRY_MS = 1000
const NEWLINE = 0x0a
/** The kernel writes up to so many bytes (PIPE_BUF) into a pipe as one piece. */
const ATOMIC_BYTES = 4096

export interface LogOutputOptions {
  /** Default: 1 MiB. */
  readonly maxWaitingBytes?: number
  /** Whether other processes write to it: their lines must not fall into ours. */
  readonly isShared?: boolean
  /** Called with the number of dropped lines as soon as a write succeeds again. */
  readonly resumed?: (lines: number) => void
}

/**
 * Writes log lines to a file descriptor without blocking the event loop, in batches. A reader that
 * stops costs at most `maxWaitingBytes` of memory: further lines are dropped and counted. No error
 * leaves this class, since each would be logged, and fail again.
 */
export class LogOutput {
  readonly #fd: number
  readonly #maxWaitingBytes: number
  readonly #resumed: (lines: number) => void
  readonly #isShared: boolean
  #waiting = ''
  /** Bytes that wait, those of the write under way included. */
  #waitingBytes = 0
  #isWriting = false
  /** Whether the last write ended within a line. */
  #isTorn = false
  #dropped = 0
  #droppedSinceWrite = 0
  #idle = () => {}

  constructor(
    fd: number,
    { maxWaitingBytes = MAX_WAITING_BYTES, resumed = () => {}, isShared = false }: LogOutputOptions = {},
  ) {
    this.#fd = fd
    this.#isShared = isShared
    this.#maxWaitingBytes = maxWaitingBytes
    this.#resumed = resumed
  }

  /** Lines that were dropped since the start. */
  get dropped(): number {
    return this.#dropped
  }

  write(line: string): void {
    const bytes = Buffer.byteLength(line)
    if (this.#waitingBytes + bytes > this.#maxWaitingBytes) return this.#drop(1)
    this.#waiting += line
    this.#waitingBytes += bytes
    if (!this.#isWriting) this.#next()
  }

  /** Resolves when all lines are written, or after `timeoutMs`: the reader may never read again. */
  async flushWithin(timeoutMs: number): Promise<void> {
    if (!this.#isWriting) return
    const idle = new Promise<void>((resolve) => {
      this.#idle = resolve
    })
    await within(idle, timeoutMs).catch(() => {})
  }

  #next(): void {
    this.#isWriting = this.#waiting !== ''
    if (!this.#isWriting) return this.#idle()
    const batch = Buffer.from(this.#isTorn ? `\n${this.#waiting}` : this.#waiting)
    this.#waiting = ''
    this.#waitingBytes = batch.length
    this.#write(batch)
  }

  #write(batch: Buffer): void {
    const length = this.#isShared ? wholeLines(batch) : batch.length
    write(this.#fd, batch, 0, length, (error, written) => {
      if (error) return this.#failed(error, batch)
      this.#waitingBytes -= written
      this.#isTorn = written === 0 ? this.#isTorn : batch[written - 1] !== NEWLINE
      if (written < batch.length) return this.#write(batch.subarray(written))
      const lines = this.#droppedSinceWrite
      this.#droppedSinceWrite = 0
      if (lines > 0) this.#resumed(lines)
      this.#next()
    })
  }

  #failed({ code }: NodeJS.ErrnoException, batch: Buffer): void {
    if (code === 'EAGAIN' || code === 'EBUSY') {
      setTimeout(() => this.#write(batch), FULL_RETRY_MS).unref()
      return
    }
    this.#waitingBytes -= batch.length
    let lines = 0
    for (let at = batch.indexOf(NEWLINE); at >= 0; at = batch.indexOf(NEWLINE, at + 1)) lines++
    this.#drop(lines)
    setTimeout(() => this.#next(), FAILED_RETRY_MS).unref()
  }

  #drop(lines: number): void {
    this.#dropped += lines
    this.#droppedSinceWrite += lines
  }
}

/** The bytes of the first lines that one write takes as one piece; a longer line alone. */
function wholeLines(batch: Buffer): number {
  if (batch.length <= ATOMIC_BYTES) return batch.length
  const last = batch.lastIndexOf(NEWLINE, ATOMIC_BYTES - 1)
  const end = last > 0 ? last : batch.indexOf(NEWLINE, ATOMIC_BYTES)
  return end === -1 ? batch.length : end + 1
}
