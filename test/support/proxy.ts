import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/**
 * A TCP proxy: the way to a server can be cut or held up for those who come through it, while everybody else still reaches the server.
 */
export class TcpProxy {
  readonly #target: number
  readonly #sockets = new Set<Socket>()
  readonly #server = createServer((socket) => this.#accept(socket))
  #isCut = false
  #held = false
  /** Connections that were made through it. */
  connections = 0

  private constructor(target: number) {
    this.#target = target
  }

  /** A proxy on a free port of 127.0.0.1, to another port of it. */
  static async to(target: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(target)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Whether nobody is connected through it. */
  get idle(): boolean {
    return this.#sockets.size === 0
  }

  /** Resets all connections, and each new one. It keeps its port meanwhile, which somebody else might take. */
  cut(): void {
    this.#isCut = true
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  /** Lets connections through again. */
  restore(): void {
    this.#isCut = false
    this.#held = false
  }

  async stop(): Promise<void> {
    this.cut()
    const closed = once(this.#server, 'close')
    this.#server.close()
    await closed
  }

  /** Lets nothing through and says nothing about it: connections stay, and new ones are accepted. */
  hold(): void {
    this.#held = true
    for (const socket of this.#sockets) socket.pause()
  }

  /** Lets through what was held up. */
  release(): void {
    this.#held = false
    for (const socket of this.#sockets) socket.resume()
  }

  #accept(client: Socket): void {
    if (this.#isCut) {
      client.on('error', () => {})
      client.resetAndDestroy()
      return
    }
    this.connections++
    const server = connect(this.#target, '127.0.0.1')
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(from)
      from.setNoDelay(true)
      from.on('data', (chunk) => to.write(chunk))
      from.on('error', () => {})
      from.on('close', () => {
        this.#sockets.delete(from)
        to.destroy()
      })
      if (this.#held) from.pause()
    }
  }
}
