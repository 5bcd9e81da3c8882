import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { type Args, CommandWriter } from './encode.ts'
import { ErrorReply, Unsent } from './errors.ts'
import { type OnMessage, type Reply, RespReader } from './resp.ts'

/** Where a server is and how to enter. */
export interface Target {
  readonly host: string
  readonly port: number
  readonly tls: boolean
  readonly username: string | undefined
  readonly password: string | undefined
  readonly database: number
  /** A server that says it is a replica is not the one. */
  readonly master?: boolean
}

/** Who waits for what Redis says to a command: called once, in the order of the commands. */
export interface Waiter {
  /** Buffers in it are views, and only valid during the call. */
  answered(reply: Reply): void
  /** `ErrorReply`: Redis says no. `Unsent`: it has never seen the command. Another: nobody knows what became of it. */
  failed(error: Error): void
  /** A push has come while this was the oldest that waits. True: it was the last that this waits for; undefined: it is none of them. */
  pushed?(kind: string, rest: readonly Reply[]): boolean | undefined
}

/** What comes without having been asked for. */
export interface Pushes {
  readonly message: OnMessage
  /** A push that is not what the oldest command waits for. */
  other(kind: string, rest: readonly Reply[]): void
}

const NO_PUSHES: Pushes = { message: () => {}, other: () => {} }

const KEEP_ALIVE_MS = 5000
/** Answered commands that are kept until they are forgotten at once: a queue that is shifted for each would be moved each time. */
const FORGOTTEN = 4096

/**
 * One connection to one server, in RESP3. It is our own because it is in the way of every frame and every handshake (bench/NOTES.md has what a general client costs
 * there); it knows nothing but to send commands and to hand over what comes. Who uses it has a deadline of its own; `Link` makes the next one.
 */
export class RedisConnection {
  readonly #target: Target
  readonly #name: string
  readonly #pushes: Pushes
  readonly #reader: RespReader
  readonly #writer = new CommandWriter()
  readonly #flushTick = () => this.#flush()
  #socket: Socket | undefined
  #onError: (error: Error) => void = () => {}
  #ended = false
  #scheduled = false
  /** In the order of their commands, from `#oldest` on. */
  #waiting: (Waiter | undefined)[] = []
  #oldest = 0
  /** Of those, how many at the end have commands that were not given to the socket yet. */
  #unsent = 0

  constructor(target: Target, name: string, pushes = NO_PUSHES) {
    this.#target = target
    this.#name = name
    this.#pushes = pushes
    this.#reader = new RespReader({
      message: pushes.message,
      push: (kind, rest) => this.#pushed(kind, rest),
      reply: (value) => this.#replied(value),
    })
  }

  /** What ends the connection, once; whatever was under way has failed with it. */
  on(_event: 'error', listener: (error: Error) => void): void {
    this.#onError = listener
  }

  /** Connects and enters. @throws what the server or the network says against it. */
  async connect(): Promise<void> {
    const { host, port, tls, username, password, database } = this.#target
    const socket = tls
      ? connectTls({ host, port, ...(isIP(host) === 0 && { servername: host }) })
      : connectTcp({ host, port })
    this.#socket = socket
    socket.setNoDelay(true)
    socket.setKeepAlive(true, KEEP_ALIVE_MS)
    socket.on('error', (error) => this.#fail(error))
    socket.on('close', () => this.#fail(new Error('the connection was closed')))
    socket.on('drain', this.#flushTick)
    socket.on('data', (chunk) => this.#read(chunk))
    const auth = password === undefined ? [] : ['AUTH', username ?? 'default', password]
    await this.sendCommand(['HELLO', '3', ...auth, 'SETNAME', this.#name])
    if (database !== 0) await this.sendCommand(['SELECT', String(database)])
  }

  /**
   * One command, whose answer is awaited. Strings in it are text (bytes that are not UTF-8 become U+FFFD), maps are flat lists.
   * @throws what `Waiter.failed` is given.
   */
  sendCommand<T = unknown>(args: Args): Promise<T> {
    return new Promise((resolve, reject) =>
      this.submit(args, { answered: (reply) => resolve(textOf(reply) as T), failed: reject }),
    )
  }

  ping(): Promise<unknown> {
    return this.sendCommand(['PING'])
  }

  /** One command, of which `waiter` is told. All of one turn of the event loop go out together at its end. */
  submit(args: Args, waiter: Waiter): void {
    if (this.#ended || !this.#socket) {
      // Later, as always: who gives a command may be in the middle of something.
      process.nextTick(() => waiter.failed(new Unsent('the connection is closed')))
      return
    }
    this.#writer.append(args)
    this.#waiting.push(waiter)
    this.#unsent++
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(this.#flushTick)
  }

  /** For who has collected the commands of a turn already: they go out as soon as the code that gave them is done. */
  protected flushSoon(): void {
    queueMicrotask(this.#flushTick)
  }

  /** Ends it without a word. */
  destroy(): void {
    this.#end(new Error('the connection was given up'))
  }

  /** While the kernel does not take more, nothing is given to the socket: what did not leave this process can be told. */
  #flush(): void {
    this.#scheduled = false
    const socket = this.#socket!
    if (this.#ended || this.#unsent === 0 || socket.writableNeedDrain) return
    this.#unsent = 0
    const [first, ...rest] = this.#writer.take()
    if (rest.length === 0) socket.write(first!)
    else {
      socket.cork()
      socket.write(first!)
      for (const part of rest) socket.write(part)
      socket.uncork()
    }
    if (socket.writableLength === 0) this.#writer.reuse()
  }

  #read(chunk: Buffer): void {
    if (this.#ended) return
    try {
      this.#reader.push(chunk)
    } catch (error) {
      this.#fail(error as Error)
    }
  }

  #replied(value: Reply): void {
    const waiter = this.#waiting[this.#oldest]
    if (waiter === undefined) throw new Error('RESP: an answer to nothing')
    this.#next()
    try {
      if (value instanceof ErrorReply) waiter.failed(value)
      else waiter.answered(value)
    } catch (fault) {
      raise(fault)
    }
  }

  #pushed(kind: string, rest: readonly Reply[]): void {
    const waiter = this.#waiting[this.#oldest]
    const isLast = waiter?.pushed?.(kind, rest)
    if (isLast === undefined) this.#pushes.other(kind, rest)
    else if (isLast) this.#next()
  }

  #next(): void {
    this.#waiting[this.#oldest++] = undefined
    // Where more always comes it would never be empty, and so only grow.
    if (this.#oldest < this.#waiting.length && this.#oldest < FORGOTTEN) return
    this.#waiting = this.#waiting.slice(this.#oldest)
    this.#oldest = 0
  }

  #fail(error: Error): void {
    if (this.#ended) return
    this.#end(error)
    this.#onError(error)
  }

  #end(error: Error): void {
    this.#ended = true
    this.#socket?.destroy()
    const waiting = this.#waiting.slice(this.#oldest)
    const sent = waiting.length - this.#unsent
    this.#waiting = []
    this.#oldest = 0
    for (const [i, waiter] of waiting.entries()) {
      try {
        waiter!.failed(i < sent ? error : new Unsent(error.message, { cause: error }))
      } catch (fault) {
        raise(fault)
      }
    }
  }
}

/** A fault of who waits is not the connection's: it is told where faults are that nothing caught. */
function raise(fault: unknown): void {
  process.nextTick(() => {
    throw fault
  })
}

function textOf(reply: Reply): unknown {
  if (Buffer.isBuffer(reply)) return reply.toString()
  return Array.isArray(reply) ? reply.map(textOf) : reply
}
