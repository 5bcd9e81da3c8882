import type { HttpResponse, TemplatedApp, us_listen_socket, us_socket_context_t, WebSocket } from 'uWebSockets.js'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { TlsFiles } from './tls.ts'

/**
 * The native WebSocket server. No other file imports it: its header limit must be set first, and an
 * import that fails must say what to do.
 */

export type {
  HttpRequest,
  HttpResponse,
  TemplatedApp,
  us_listen_socket,
  us_socket_context_t,
  WebSocket,
  WebSocketBehavior,
} from 'uWebSockets.js'

/** Where the folder of the package has its binaries: uws-pack, and the official package. */
const BINARIES = ['dist/bin', '.']

/**
 * Loads the binary by its path. The package is of ES modules, which can only be imported, so each
 * module that needs this one would wait for it; and its own modules do no more than this.
 */
function load(): typeof import('uWebSockets.js') {
  // The native module reads its limit for request headers from the environment, once, when it is
  // loaded. 16 KB leave room for a JWT; its own default is 4 KB. The variable is not a setting of
  // wsproxy, and every import of this file needs it, so it is set here.
  process.env.UWS_HTTP_MAX_HEADERS_SIZE ??= '16384'
  const { platform, arch, versions } = process
  const binary = `uws_${platform}_${arch}_${versions.modules}.node`
  const require = createRequire(import.meta.url)
  const folders = require.resolve.paths('uWebSockets.js') ?? []
  const places = folders.flatMap((each) => BINARIES.map((inside) => join(each, 'uWebSockets.js', inside, binary)))
  try {
    const file = places.find((each) => existsSync(each))
    if (file === undefined) throw new Error(`no package has ${binary}`)
    return require(file)
  } catch (cause) {
    throw new NativeBinaryError(cause)
  }
}

/** Thrown at import when uWebSockets.js has no binary for this machine. */
class NativeBinaryError extends Error {
  constructor(cause: unknown) {
    const { platform, arch, version } = process
    super(
      `uWebSockets.js has no binary for Node ${version} on ${platform}-${arch} (or it is not installed).\n` +
        'It needs Node 20 or 22 on macOS or on Linux with glibc 2.27 or later (not Alpine). Use such a Node and run\n' +
        '"npm ci" again, or install the official package instead: docs/guide/quickstart.md, "The native binary".',
      { cause },
    )
    this.name = 'NativeBinaryError'
  }
}

const uWS = load()

/** Kinds of compression (RFC 7692). */
export const { DISABLED, SHARED_COMPRESSOR, DEDICATED_DECOMPRESSOR } = uWS as unknown as Record<
  'DISABLED' | 'SHARED_COMPRESSOR' | 'DEDICATED_DECOMPRESSOR',
  number
>

const lastOpened: unknown[] = [undefined]

/** The open handler that every door must register: it hands the new socket to `upgradeCorked`. */
export const keepOpened = Array.prototype.fill.bind(lastOpened) as unknown as (ws: unknown) => void

/**
 * Completes an upgrade after an await, in one write. Returns the new socket, or undefined when it
 * was closed at once.
 *
 * In this version HttpResponse::cork() reads the state of the response after its callback. An
 * upgrade has shrunk that block in place by then, so the state lies in freed memory. If anything
 * was allocated there meanwhile, the new socket is closed at once (uWebSockets pull request 1929
 * has the fix). So nothing in between may allocate outside the garbage-collected heap: no line of
 * JavaScript, which may be compiled just then, and no store of a property, which may change a
 * hidden class. That is why the callback and the open handler are bound built-in functions, and
 * why there is no user data. Without the cork the answer takes two dozen packets and a handshake
 * costs twice the CPU time.
 */
export function upgradeCorked(
  res: HttpResponse,
  key: string,
  protocol: string,
  extensions: string,
  context: us_socket_context_t,
): WebSocket<unknown> | undefined {
  lastOpened[0] = undefined
  res.cork(res.upgrade.bind(res, NO_DATA, key, protocol, extensions, context))
  return lastOpened[0] as WebSocket<unknown> | undefined
}
const NO_DATA = {}

/** The close handler calls this when a socket closes during its own upgrade. */
export function forgetOpened(): void {
  lastOpened[0] = undefined
}

const SHARED_PORT = 0

/** uWebSockets.js takes listen options, but its types lack that overload. */
type Listen = (host: string, port: number, options: number, done: (socket: us_listen_socket | false) => void) => void

function bind(app: TemplatedApp, host: string, port: number, options: number): us_listen_socket {
  let bound: us_listen_socket | false = false
  ;(app.listen as unknown as Listen).call(app, host, port, options, (socket) => {
    bound = socket
  })
  if (bound) return bound
  throw new Error(`cannot listen on ${host}:${port}: the port is taken, or this machine does not have that address`)
}

/** Whether other processes listen on the port: no; later ones will; older ones do already. */
export type PortSharing = 'alone' | 'first' | 'joins'

/** The uWebSockets.js apps of a gateway and their listening sockets. */
export class Listeners {
  readonly #apps: TemplatedApp[] = []
  readonly #sockets: us_listen_socket[] = []
  readonly #tls: TlsFiles | undefined
  /** How the listeners that are made next share their ports. */
  sharing: PortSharing = 'alone'

  /** With `tls`, each app answers `https://` and `wss://` only, from TLS 1.2 on. */
  constructor(tls?: TlsFiles) {
    this.#tls = tls
  }

  /** @throws Error when the certificate or the key cannot be used. */
  app(): TemplatedApp {
    const app = this.#tls
      ? uWS.SSLApp({ cert_file_name: this.#tls.cert, key_file_name: this.#tls.key, ssl_prefer_low_memory_usage: true })
      : uWS.App()
    this.#apps.push(app)
    return app
  }

  /**
   * Listens on a port that no other process uses, except the older ones of `joins`. By default
   * uWebSockets.js sets SO_REUSEPORT, so a second process can silently bind the same port and take
   * half of the connections. So the port is first bound without it, which fails when it is taken.
   * Several listeners then share the port among themselves: the accept queue of one holds 512
   * connections, and the kernel of a client that finds it full retries only after seconds.
   * (A foreign program of the same user that sets SO_REUSEPORT could still join them.)
   * @param listeners how many; the kernel spreads connections over them by hash.
   * @returns the port, which differs from `port` when that is 0.
   * @throws Error when the port is taken.
   */
  listen(app: TemplatedApp, host: string, port: number, listeners = 1): number {
    const { LIBUS_LISTEN_EXCLUSIVE_PORT: exclusive } = uWS as unknown as { LIBUS_LISTEN_EXCLUSIVE_PORT: number }
    let bound = port
    if (this.sharing !== 'joins') {
      const alone = bind(app, host, port, exclusive)
      bound = uWS.us_socket_local_port(alone)
      if (listeners === 1 && !this.#tls && this.sharing === 'alone') {
        this.#sockets.push(alone)
        return bound
      }
      uWS.us_listen_socket_close(alone)
    }
    for (let i = 0; i < listeners; i++) this.#sockets.push(bind(app, host, bound, SHARED_PORT))
    return bound
  }

  /**
   * Returns a port that no other process uses, for a listener that is not one of uWebSockets.js.
   * @throws Error when `port` is taken.
   */
  freePort(app: TemplatedApp, host: string, port: number): number {
    const { LIBUS_LISTEN_EXCLUSIVE_PORT: exclusive } = uWS as unknown as { LIBUS_LISTEN_EXCLUSIVE_PORT: number }
    const tried = bind(app, host, port, exclusive)
    const free = uWS.us_socket_local_port(tried)
    uWS.us_listen_socket_close(tried)
    return free
  }

  /**
   * Starts listeners beside those on the same ports, which must be shared. Returns a function that
   * closes the older ones. @throws Error when a port cannot be shared; the older ones stay then.
   */
  succeed(apps: readonly { app: TemplatedApp; host: string; port: number; listeners: number }[]): () => void {
    const old = this.#sockets.splice(0)
    try {
      for (const { app, host, port, listeners } of apps)
        for (let i = 0; i < listeners; i++) this.#sockets.push(bind(app, host, port, SHARED_PORT))
    } catch (error) {
      this.#sockets.push(...old)
      throw error
    }
    return () => {
      for (const socket of old) uWS.us_listen_socket_close(socket)
    }
  }

  /** Stops accepting; open connections stay. */
  close(): void {
    for (const socket of this.#sockets.splice(0)) uWS.us_listen_socket_close(socket)
  }

  /** Cuts the connections that are still open, for instance a scraper's keep-alive connection. */
  stop(): void {
    for (const app of this.#apps.splice(0)) app.close()
  }
}
