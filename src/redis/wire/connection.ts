import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Login } from '../../config/logins.ts'
import type { RedisAddress } from '../../config/redis-address.ts'
import { reasonOf } from '../../platform/reason.ts'
import { type Args, CommandWriter } from './encode.ts'
import { ErrorReply, endsConnection, isMoved, Unsent } from './errors.ts'
import { type Greeting, greet } from './handshake.ts'
import { READ_BYTES, ReadBuffer } from './read-buffer.ts'
import { type OnMessage, RespReader } from './resp.ts'
import { advised, secureOptions, type TlsSettings } from './secure.ts'
import type { Reply } from './values.ts'
import { failAll, isReplyWaiter, type ReplyWaiter, rethrowLater, type Waiter } from './waiter.ts'

/** Address and credentials of a server. */
export interface Target extends RedisAddress {
  /** Files of TLS, read at each connect. */
  readonly secure?: Partial<TlsSettings>
  /** The login that counts now, where a file holds it; else that of the address. */
  readonly login?: () => Login | undefined
}

/** Receives what Redis sends without a command. */
export interface Pushes {
  /**
   * Plain arrays that look like pushes are pushes: RESP2 has no others, and some proxies send them
   * with RESP3. Only for connections on which no command is answered by an array of text.
   */
  readonly arrays?: boolean
  readonly message: OnMessage
  /** A push that no waiter takes, with its first value as text. */
  other(kind: string, first: string): void
}

const NO_PUSHES: Pushes = { message: () => {}, other: () => {} }

const KEEP_ALIVE_MS = 5000
/**
 * Settled waiters kept in front of the queue until they are dropped together: shifting an array for
 * each would copy it.
 */
const MAX_SETTLED = 4096

/** A read and its callback are one synchronous step, so all connections share these bytes. */
const READ_BUFFER = Buffer.allocUnsafeSlow(READ_BYTES)

const CLOSED = 'the connection was closed'
const CLOSED_ON_HELLO =
  'the connection was closed before the answer to HELLO, the first command: the server or a proxy before it does ' +
  'not know HELLO, expects TLS, or leads nowhere now'

/**
 * One RESP3 connection to one server; RESP2 where the server refuses HELLO. Hand-written because
 * every frame and handshake passes through it (measurements: bench/NOTES.md). It sends commands
 * and dispatches replies, nothing else: `Link` sets the deadlines and reconnects.
 */
export class RedisConnection {
  readonly #target: Target
  readonly #name: string
  readonly #pushes: Pushes
  readonly #unread = new ReadBuffer()
  readonly #reader: RespReader
  readonly #writer = new CommandWriter()
  readonly #flushTick = () => this.#flush()
  #socket: Socket | undefined
  #onError: (error: Error) => void = () => {}
  #ended = false
  #scheduled = false
  /** In the order of their commands, from `#oldest` on. Undefined: settled already. */
  #waiting: (Waiter | undefined)[] = []
  #oldest = 0
  /**
   * How many waiters at the end of `#waiting` have commands that were not given to the socket yet.
   */
  #unsent = 0
  #greeted = false
  /** What the server said at the beginning, after `connect`. */
  greeting: Greeting = { protocol: 3 }

  constructor(target: Target, name: string, pushes = NO_PUSHES) {
    this.#target = target
    this.#name = name
    this.#pushes = pushes
    const reader = {
      message: pushes.message,
      push: (kind: string, first: string) => this.#pushed(kind, first),
      reply: (value: Reply) => this.#replied(value),
    }
    this.#reader = new RespReader(reader, pushes.arrays)
  }

  get database(): number {
    return this.#target.database
  }

  /**
   * Sets the listener for the end of the connection. It is called once, with the reason, which is
   * an error reply when the server will not serve this connection (READONLY, NOAUTH, MASTERDOWN).
   */
  on(_event: 'error', listener: (error: Error) => void): void {
    this.#onError = listener
  }

  /** Connects and authenticates. @throws the error of the server or of the network. */
  async connect(): Promise<void> {
    const { host, port, path, tls, secure = {}, login } = this.#target
    const socket = tls
      ? connectTls({ host, port, ...secureOptions(secure, host) })
      : connectTcp({ ...(path === undefined ? { host, port } : { path }), onread: this.#onread() })
    this.#socket = socket
    socket.setNoDelay(true)
    socket.setKeepAlive(true, KEEP_ALIVE_MS)
    socket.on('error', (error) => this.#fail(tls ? advised(error) : error))
    socket.on('close', () => this.#fail(new Error(this.#greeted ? CLOSED : CLOSED_ON_HELLO)))
    socket.on('drain', this.#flushTick)
    if (tls) socket.on('data', (bytes) => this.#read(bytes, bytes.length))
    const target = { ...this.#target, ...login?.() }
    this.greeting = await greet((args) => this.sendCommand(args), target, this.#name)
    this.#greeted = true
  }

  /**
   * Sends one command and resolves with its reply. Strings in it are text (bytes that are not UTF-8
   * become U+FFFD); maps are flat lists.
   * @throws the error that `Waiter.failed` would get.
   */
  sendCommand<T = unknown>(args: Args): Promise<T> {
    return this.sendAndRead(args, (reply) => textOf(reply) as T)
  }

  /**
   * Sends one command and resolves with what `read` makes of its reply. Buffers in the reply are
   * views that are only valid during the call of `read`.
   * @throws the error that `Waiter.failed` would get, or what `read` throws.
   */
  sendAndRead<T>(args: Args, read: (reply: Reply) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const answered = (reply: Reply) => {
        try {
          resolve(read(reply))
        } catch (error) {
          reject(error)
        }
      }
      this.submit(args, { answered, failed: reject })
    })
  }

  ping(): Promise<unknown> {
    return this.sendCommand(['PING'])
  }

  /**
   * Queues one command. All commands of one turn of the event loop are written together at its end.
   */
  submit(args: Args, waiter: Waiter): void {
    if (this.#ended || !this.#socket) return failAll([waiter], new Unsent('the connection is closed'))
    this.#writer.append(args)
    this.#waiting.push(waiter)
    this.#unsent++
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(this.#flushTick)
  }

  /**
   * For callers that batch themselves (the feed): flush in a microtask instead of at the end of the
   * turn.
   */
  protected flushSoon(): void {
    queueMicrotask(this.#flushTick)
  }

  /** Ends the connection without calling the `error` listener. Commands without a reply fail. */
  destroy(): void {
    this.#end(new Error('the connection was given up'))
  }

  /**
   * Writes nothing while the kernel's buffer is full: only commands still in `#writer` are known to
   * be unsent.
   */
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

  /** Without a buffer Node allocates 64 KB for each read and gives back what was not filled. */
  #onread() {
    return {
      buffer: READ_BUFFER,
      callback: (count: number) => {
        this.#read(READ_BUFFER, count)
        return true
      },
    }
  }

  #read(bytes: Buffer, length: number): void {
    if (this.#ended) return
    try {
      this.#unread.pass(bytes, length, this.#reader)
    } catch (error) {
      this.#fail(error as Error)
    }
  }

  #replied(value: Reply): void {
    if (this.#ended) return
    const sent = this.#waiting.length - this.#unsent
    let index = this.#oldest
    // An error answers any command; any other reply answers a command without pushes. Skip older
    // commands that wait for pushes, because js-redis-server does not keep the order.
    if (!(value instanceof ErrorReply)) while (index < sent && !isReplyWaiter(this.#waiting[index])) index++
    const waiter = this.#waiting[index]
    if (index >= sent || waiter === undefined) {
      // Redis ended a sharded subscription by itself while our SUNSUBSCRIBE was on its way. We took
      // its push for the confirmation of our command, so the error reply to that command is one too
      // many.
      if (isMoved(value)) return
      throw new Error('RESP: a reply to no command')
    }
    this.#settled(index)
    try {
      if (value instanceof ErrorReply) waiter.failed(value)
      else (waiter as ReplyWaiter).answered(value)
    } catch (fault) {
      rethrowLater(fault)
    }
    if (endsConnection(value)) this.#fail(value as ErrorReply)
  }

  #pushed(kind: string, first: string): void {
    for (let index = this.#oldest; index < this.#waiting.length - this.#unsent; index++) {
      const waiter = this.#waiting[index]
      const isLast = isReplyWaiter(waiter) ? undefined : waiter?.pushed(kind, first)
      if (isLast) this.#settled(index)
      if (isLast !== undefined) return
    }
    this.#pushes.other(kind, first)
  }

  #settled(index: number): void {
    this.#waiting[index] = undefined
    while (this.#oldest < this.#waiting.length && this.#waiting[this.#oldest] === undefined) this.#oldest++
    // Under steady load the queue is never empty, so also drop settled waiters when there are many.
    if (this.#oldest < this.#waiting.length && this.#oldest < MAX_SETTLED) return
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
    failAll(this.#waiting.slice(sent), new Unsent(reasonOf(error), { cause: error }))
    this.#waiting = []
    this.#oldest = 0
    this.#unsent = 0
  }
}

/** Turns the bytes in a reply into text. Bytes that are not UTF-8 become U+FFFD. */
function textOf(reply: Reply): unknown {
  if (Buffer.isBuffer(reply)) return reply.toString()
  return Array.isArray(reply) ? reply.map(textOf) : reply
}
