import { randomInt } from 'node:crypto'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import type { ProxyHeaderResult } from '../contract/reasons.ts'
import { networks, parseIp } from './address.ts'
import { ProxyHeaderReader } from './proxy-header.ts'

/**
 * The listener of `TRUST_PROXY=proxy-protocol`. uWebSockets.js reads at most 36 bytes of a PROXY
 * header, takes another one before each request, and fills a short one from old memory. So this
 * relay reads and removes the one header of a connection, and dials the gateway on loopback from an
 * address of 127.0.0.0/8 that stands for the client: the gateway asks the relay whose it is.
 */

export interface RelayOptions {
  /** Networks of the proxies; empty: any peer may send a header. */
  readonly trusted: readonly string[]
  /** Called for each connection whose header is decided. */
  readonly decided: (result: ProxyHeaderResult, peer: string) => void
}

/** Connections that the kernel holds until they are accepted; it may allow fewer (somaxconn). */
const BACKLOG = 4096
/** A connection that sends no complete header or request within this time is cut. */
const HEADER_MS = 10_000
/** What a client has not read this long after the gateway closed is cut, as by SLOW_CLOSE_GRACE. */
const LINGER_MS = 5000
/** Longest wait of a drain for connections whose header is under way. */
const DRAIN_MS = 250
const STOP_MS = 1000
const LOOPBACK = '127.0.0.1'

export class ProxyRelay {
  readonly #trusts: (peer: string) => boolean
  readonly #decided: RelayOptions['decided']
  /** Addresses of clients by the loopback address that stands for each. */
  readonly #clients = new Map<string, string>()
  readonly #open = new Set<Socket>()
  readonly #server: Server
  #undecided = 0
  #target = 0

  constructor({ trusted, decided }: RelayOptions) {
    if (process.platform !== 'linux')
      throw new Error('TRUST_PROXY=proxy-protocol needs Linux: only there all of 127.0.0.0/8 is loopback')
    this.#trusts = trusted.length === 0 ? () => true : networks(trusted)
    this.#decided = decided
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, this.#accept)
  }

  /**
   * Listens on a free port that the caller has just tried, and passes connections to `target` on
   * loopback.
   */
  listen(host: string, port: number, target: number): void {
    this.#target = target
    this.#server.listen({ host, port, backlog: BACKLOG })
  }

  /** Returns the client behind a connection of the relay, or undefined for any other peer. */
  clientOf(peer: string): string | undefined {
    return this.#clients.get(peer)
  }

  /** Stops accepting, and waits up to 250 ms until the gateway has what was accepted. */
  async close(): Promise<void> {
    this.#server.close()
    for (const until = performance.now() + DRAIN_MS; this.#undecided > 0 && performance.now() < until; ) await sleep(10)
    for (let turn = 0; turn < 3; turn++) await setImmediate()
  }

  /** Lets the last closes pass, but not longer than a second, and cuts what is still open. */
  async stop(): Promise<void> {
    this.#server.close()
    for (const until = performance.now() + STOP_MS; this.#open.size > 0 && performance.now() < until; ) await sleep(10)
    for (const socket of this.#open) socket.destroy()
  }

  readonly #accept = (socket: Socket): void => {
    const peer = parseIp(socket.remoteAddress ?? '')
    if (peer === undefined) return void socket.destroy()
    this.#track(socket)
    if (this.#trusts(peer)) return this.#readHeader(socket, peer)
    this.#decided('untrusted', peer)
    this.#dial(socket, peer)
  }

  #readHeader(socket: Socket, peer: string): void {
    const reader = new ProxyHeaderReader()
    this.#undecided++
    const timer = setTimeout(() => socket.destroy(), HEADER_MS)
    const ended = () => socket.end()
    const settle = () => {
      clearTimeout(timer)
      socket.off('data', read).off('end', ended).off('close', settle)
      this.#undecided--
    }
    const read = (chunk: Buffer) => {
      const header = reader.push(chunk)
      if (header === undefined) return
      socket.pause()
      settle()
      if (header.kind === 'malformed') {
        this.#decided('malformed', peer)
        return void socket.destroy()
      }
      const client = header.kind === 'accepted' ? header.client : undefined
      this.#decided(header.kind === 'missing' ? 'missing' : client === undefined ? 'local' : 'accepted', peer)
      this.#dial(socket, client ?? peer, header.rest)
    }
    socket.on('data', read).on('end', ended).on('close', settle)
  }

  /** Connects to the gateway, with an address that stands for the client. */
  #dial(socket: Socket, client: string, first?: Buffer): void {
    const localAddress = this.#freeAddress()
    this.#clients.set(localAddress, client)
    this.#undecided++
    const inner = connect({ host: LOOPBACK, port: this.#target, localAddress, allowHalfOpen: true, noDelay: true })
    this.#track(inner)
    if (first && first.length > 0) inner.write(first)
    let isDecided = false
    const decided = () => {
      if (!isDecided) this.#undecided--
      isDecided = true
    }
    inner.on('connect', decided).on('close', (failed) => {
      decided()
      this.#clients.delete(localAddress)
      if (failed) socket.destroy()
      else setTimeout(() => socket.destroy(), LINGER_MS).unref()
    })
    socket.on('close', (failed) => {
      if (failed || !inner.writableEnded) inner.destroy()
    })
    socket.pipe(inner)
    inner.pipe(socket)
  }

  /** A loopback address that stands for no client now, and that nothing can guess. */
  #freeAddress(): string {
    for (;;) {
      const address = `127.${randomInt(1, 255)}.${randomInt(256)}.${randomInt(1, 255)}`
      if (!this.#clients.has(address)) return address
    }
  }

  #track(socket: Socket): void {
    this.#open.add(socket)
    socket.on('error', () => {}).on('close', () => this.#open.delete(socket))
  }
}
