import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { type Args, CommandWriter } from './encode.ts'
import { ErrorReply, isMoved, Unsent } from './errors.ts'
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

interface Failing {
  /** `ErrorReply`: Redis says no. `Unsent`: it has never seen the command. Another: nobody knows what became of it. */
  failed(error: Error): void
}

/** Who waits for the reply to a command. */
export interface Answered extends Failing {
  /** Buffers in it are views, and only valid during the call. */
  answered(reply: Reply): void
}

/** Who waits for pushes: the confirmations of a subscription. */
export interface Confirmed extends Failing {
  /** True: it was the last that this waits for; undefined: it is none of them. */
  pushed(kind: string, rest: readonly Reply[]): boolean | undefined
}

/**
 * Who waits for what Redis says to a command. Told once, in the order of the commands, never from within `submit`; of the end of the connection not
 * before everybody could know that it has ended.
 */
export type Waiter = Answered | Confirmed

/** What comes without having been asked for. */
export interface Pushes {
  readonly message: OnMessage
  /** A push that nobody waits for. */
  other(kind: string, rest: readonly Reply[]): void
}

const NO_PUSHES: Pushes = { message: () => {}, other: () => {} }

const KEEP_ALIVE_MS = 5000
/** Answered commands that are kept until they are forgotten at once: a queue that is shifted for each would be moved each time. */
const FORGOTTEN = 4096

/**
 * One connection to one server, in RESP3. It is our own because it is in the way of every frame and every handshake (bench/NOTES.md has what a general client costs
 * there); it knows nothing but to send commands and to hand over what comes. `Link` has a deadline for how it begins, and makes the next one.
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
  /** In the order of their commands, from `#oldest` on; undefined: told already. */
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
    // A user without a password (nopass) enters with any.
    const auth = (username ?? password) ? ['AUTH', username ?? 'default', password ?? ''] : []
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
    if (this.#ended || !this.#socket) return failAll([waiter], new Unsent('the connection is closed'))
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
    if (this.#ended || this.#unsent === 0 || socket.writableNeedDrain || !socket.writable) return
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
    const sent = this.#waiting.length - this.#unsent
    let index = this.#oldest
    // An error is the answer to any command; a reply to one that has no pushes. Before it others may wait for theirs: js-redis-server does not keep the order.
    if (!(value instanceof ErrorReply)) while (index < sent && !isAnswered(this.#waiting[index])) index++
    const waiter = this.#waiting[index]
    if (index >= sent || waiter === undefined) {
      // It has ended a sharded subscription of itself, which we have taken for the confirmation of our own command that was on its way.
      if (isMoved(value)) return
      throw new Error('RESP: an answer to nothing')
    }
    this.#told(index)
    try {
      if (value instanceof ErrorReply) waiter.failed(value)
      else (waiter as Answered).answered(value)
    } catch (fault) {
      raise(fault)
    }
  }

  #pushed(kind: string, rest: readonly Reply[]): void {
    for (let index = this.#oldest; index < this.#waiting.length - this.#unsent; index++) {
      const waiter = this.#waiting[index]
      const isLast = isAnswered(waiter) ? undefined : waiter?.pushed(kind, rest)
      if (isLast) this.#told(index)
      if (isLast !== undefined) return
    }
    this.#pushes.other(kind, rest)
  }

  #told(index: number): void {
    this.#waiting[index] = undefined
    while (this.#oldest < this.#waiting.length && this.#waiting[this.#oldest] === undefined) this.#oldest++
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
    const sent = this.#waiting.length - this.#unsent
    failAll(this.#waiting.slice(this.#oldest, sent), error)
    failAll(this.#waiting.slice(sent), new Unsent(error.message, { cause: error }))
    this.#waiting = []
    this.#oldest = 0
    this.#unsent = 0
  }
}

const isAnswered = (waiter: Waiter | undefined): waiter is Answered => waiter !== undefined && 'answered' in waiter

/** Later: who is told may give the next command at once, and is to find the link in the state that it has come to. */
function failAll(waiting: readonly (Waiter | undefined)[], error: Error): void {
  if (waiting.length === 0) return
  setImmediate(() => {
    for (const waiter of waiting) {
      try {
        waiter?.failed(error)
      } catch (fault) {
        raise(fault)
      }
    }
  })
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
