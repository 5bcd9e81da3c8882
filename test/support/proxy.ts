import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { type Scope, stopAtEnd } from './scope.ts'

/** One direction of one connection through a proxy. */
export interface Pipe {
  /** `up`: from the client to the server; `down`: from the server to the client. */
  readonly way: 'up' | 'down'
  readonly from: Socket
  readonly to: Socket
  /** The other direction of the same connection. */
  readonly back: Pipe
}

/**
 * A TCP proxy that can cut or hold up its connections to a server, while clients that connect to
 * the server directly notice nothing.
 */
export class TcpProxy {
  #target: number
  protected readonly pipes = new Set<Pipe>()
  readonly #server = createServer((socket) => this.#accept(socket))
  #isCut = false
  #held = false
  /** The number of connections made through the proxy so far. */
  connections = 0

  protected constructor(target: number) {
    this.#target = target
  }

  /** Listens on a free port of 127.0.0.1 and forwards to the port `target`. */
  static async to(target: number): Promise<TcpProxy> {
    return new TcpProxy(target).open()
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Forwards new connections to another port. Those that are open stay where they are. */
  switchTo(target: number): void {
    this.#target = target
  }

  /** Whether no connection is open. */
  get idle(): boolean {
    return this.pipes.size === 0
  }

  /** Resets all connections and each new one. The proxy keeps its port meanwhile. */
  cut(): void {
    this.#isCut = true
    for (const { from } of this.pipes) from.resetAndDestroy()
  }

  /** Ends `cut` and `hold` for new connections. */
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

  /** Passes nothing on: connections stay open, and new ones are accepted. */
  hold(): void {
    this.#held = true
    for (const { from } of this.pipes) from.pause()
  }

  /** Ends `hold` and passes on what has waited. */
  release(): void {
    this.#held = false
    for (const { from } of this.pipes) from.resume()
  }

  protected async open(): Promise<this> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return this
  }

  /** Called for a new connection before its first byte. */
  protected opened(_up: Pipe): void {}

  /** Called for each chunk that arrives. */
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

/** A TcpProxy that stops when the scope ends. */
export const proxyFor = (scope: Scope, target: number): Promise<TcpProxy> => stopAtEnd(scope, TcpProxy.to(target))
