import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { ErrorReply } from 'redis'
import { encodeCommand } from './encode.ts'
import type { Group } from './groups.ts'
import type { Target } from './link.ts'
import { type Reply, RespReader } from './resp.ts'

export interface SubscriberOptions {
  /** Each message, in the order of Redis. `wanted`: the channel or pattern that was subscribed. */
  readonly message: (wanted: string, payload: Buffer, channel: string) => void
  /** Redis has ended a sharded subscription by itself: its slot went to another server. */
  readonly moved: (channel: string) => void
}

/** A command that was sent, in order: one answer, or a confirmation for each of its channels. */
interface Pending {
  readonly kind: string
  readonly channels: readonly string[]
  left: number
  readonly resolve: (value: Reply) => void
  readonly reject: (error: Error) => void
}

const VERBS = {
  plain: ['SUBSCRIBE', 'UNSUBSCRIBE'],
  sharded: ['SSUBSCRIBE', 'SUNSUBSCRIBE'],
  pattern: ['PSUBSCRIBE', 'PUNSUBSCRIBE'],
} as const

const KEEP_ALIVE_MS = 5000

/**
 * The connection on which messages come: RESP3, so that commands go on it too. It is our own, since a general client keeps a kilobyte a channel and
 * takes a quarter of the time of a message; it knows nothing but to subscribe. Who uses it has a deadline of its own.
 */
export class SubscriberConnection {
  readonly #target: Target
  readonly #name: string
  readonly #options: SubscriberOptions
  readonly #reader: RespReader
  #pending: Pending[] = []
  #socket: Socket | undefined
  #onError: (error: Error) => void = () => {}
  #ended = false

  constructor(target: Target, name: string, options: SubscriberOptions) {
    this.#target = target
    this.#name = name
    this.#options = options
    this.#reader = new RespReader({
      message: options.message,
      push: (kind, rest) => this.#pushed(kind, rest),
      reply: (value) => this.#replied(value),
    })
  }

  /** What ends the connection, once; whatever was under way is rejected with it. */
  on(_event: 'error', listener: (error: Error) => void): void {
    this.#onError = listener
  }

  /** Connects and enters. @throws what the server or the network says against it. */
  async connect(): Promise<void> {
    const { host, port, tls, username, password } = this.#target
    const socket = tls
      ? connectTls({ host, port, ...(isIP(host) === 0 && { servername: host }) })
      : connectTcp({ host, port })
    this.#socket = socket
    socket.setNoDelay(true)
    socket.setKeepAlive(true, KEEP_ALIVE_MS)
    socket.on('error', (error) => this.#fail(error))
    socket.on('close', () => this.#fail(new Error('the connection was closed')))
    socket.on('data', (chunk) => this.#read(chunk))
    const auth = password === undefined ? [] : ['AUTH', username ?? 'default', password]
    await this.sendCommand(['HELLO', '3', ...auth, 'SETNAME', this.#name])
  }

  /** One answer. @throws ErrorReply when that is an error; another error when the connection is lost before. */
  sendCommand(args: readonly string[]): Promise<Reply> {
    return this.#send('reply', [], args)
  }

  ping(): Promise<Reply> {
    return this.sendCommand(['PING'])
  }

  /** Resolves when Redis has confirmed every channel of the group. @throws as `sendCommand`. */
  async subscribe({ kind, channels }: Group): Promise<void> {
    const [verb] = VERBS[kind]
    await this.#send(verb.toLowerCase(), channels, [verb, ...channels])
  }

  /** The opposite. */
  async unsubscribe({ kind, channels }: Group): Promise<void> {
    const [, verb] = VERBS[kind]
    await this.#send(verb.toLowerCase(), channels, [verb, ...channels])
  }

  /** Ends it without a word. */
  destroy(): void {
    this.#end(new Error('the connection was given up'))
  }

  #send(kind: string, channels: readonly string[], args: readonly string[]): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.#ended || !this.#socket) return reject(new Error('the connection is closed'))
      this.#pending.push({ kind, channels, left: channels.length, resolve, reject })
      this.#socket.write(encodeCommand(args))
    })
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
    const pending = this.#pending.shift()
    if (pending === undefined) throw new Error('RESP: an answer to nothing')
    if (value instanceof ErrorReply) pending.reject(value)
    else pending.resolve(value)
  }

  #pushed(kind: string, rest: readonly Reply[]): void {
    const pending = this.#pending[0]
    const moved = kind === 'sunsubscribe' && !pending?.channels.includes(String(rest[0]))
    if (moved) return this.#options.moved(String(rest[0]))
    if (pending?.kind === kind) {
      if (--pending.left > 0) return
      this.#pending.shift()
      pending.resolve(null)
    }
  }

  #fail(error: Error): void {
    if (this.#ended) return
    this.#end(error)
    this.#onError(error)
  }

  #end(error: Error): void {
    this.#ended = true
    this.#socket?.destroy()
    const pending = this.#pending
    this.#pending = []
    for (const { reject } of pending) reject(error)
  }
}
