import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/**
 * A TCP proxy: the way to a server can be cut or held up for those who come through it, while everybody else still reaches the server.
 */
export class TcpProxy {
  readonly #target: number
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined
  #port = 0
  #held = false
  /** Connections that were made through it. */
  connections = 0

  private constructor(target: number) {
    this.#target = target
  }

  /** A proxy on a free port of 127.0.0.1, to another port of it. */
  static async to(target: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(target)
    await proxy.restore()
    return proxy
  }

  get port(): number {
    return this.#port
  }

  /** Resets all connections and refuses new ones. */
  async cut(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    for (const socket of this.#sockets) socket.resetAndDestroy()
    if (!server) return
    const closed = once(server, 'close')
    server.close()
    await closed
  }

  /** Accepts connections again, on the same port. */
  async restore(): Promise<void> {
    this.#held = false
    this.#server = createServer((socket) => this.#accept(socket)).listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.#port = (this.#server.address() as AddressInfo).port
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
