import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { type Scope, stopAtEnd } from './scope.ts'

/** One direction of one connection through a proxy. */
export interface Pipe {
  /** `up`: what the one who connected sends; `down`: what the server sends. */
  readonly way: 'up' | 'down'
  readonly from: Socket
  readonly to: Socket
  /** The same connection, the other way. */
  readonly back: Pipe
}

/**
 * A TCP proxy: the way to a server can be cut or held up for those who come through it, while everybody else still reaches the server.
 */
export class TcpProxy {
  readonly #target: number
  protected readonly pipes = new Set<Pipe>()
  readonly #server = createServer((socket) => this.#accept(socket))
  #isCut = false
  #held = false
  /** Connections that were made through it. */
  connections = 0

  protected constructor(target: number) {
    this.#target = target
  }

  /** A proxy on a free port of 127.0.0.1, to another port of it. */
  static async to(target: number): Promise<TcpProxy> {
    return new TcpProxy(target).open()
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Whether nobody is connected through it. */
  get idle(): boolean {
    return this.pipes.size === 0
  }

  /** Resets all connections, and each new one. It keeps its port meanwhile, which somebody else might take. */
  cut(): void {
    this.#isCut = true
    for (const { from } of this.pipes) from.resetAndDestroy()
  }

  /** Lets connections through again. */
  restore(): void {
    this.#isCut = false
    this.#held = false
  }

  async stop(): Promise<void> {
    this.cut()
    if (!this.#server.listening) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    await closed
  }

  /** Lets nothing through and says nothing about it: connections stay, and new ones are accepted. */
  hold(): void {
    this.#held = true
    for (const { from } of this.pipes) from.pause()
  }

  /** Lets through what was held up. */
  release(): void {
    this.#held = false
    for (const { from } of this.pipes) from.resume()
  }

  protected async open(): Promise<this> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return this
  }

  /** A new connection, before its first byte. */
  protected opened(_up: Pipe): void {}

  /** Some bytes have come. */
  protected pass(pipe: Pipe, chunk: Buffer): void {
    pipe.to.write(chunk)
  }

  #accept(client: Socket): void {
    if (this.#isCut) {
      client.on('error', () => {})
      client.resetAndDestroy()
      return
    }
    this.connections++
    const server = connect(this.#target, '127.0.0.1')
    const up: Omit<Pipe, 'back'> = { way: 'up', from: client, to: server }
    const down: Pipe = Object.assign({ way: 'down', from: server, to: client } as const, { back: up as Pipe })
    for (const pipe of [Object.assign(up, { back: down }), down]) {
      this.pipes.add(pipe)
      pipe.from.setNoDelay(true)
      pipe.from.on('data', (chunk) => this.pass(pipe, chunk))
      pipe.from.on('error', () => {})
      pipe.from.on('close', () => {
        this.pipes.delete(pipe)
        pipe.to.destroy()
      })
      if (this.#held) pipe.from.pause()
    }
    this.opened(up as Pipe)
  }
}

/** A TcpProxy for one scope. */
export const proxyFor = (scope: Scope, target: number): Promise<TcpProxy> => stopAtEnd(scope, TcpProxy.to(target))
