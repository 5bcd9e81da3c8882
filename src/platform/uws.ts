import type { HttpResponse, TemplatedApp, us_listen_socket, us_socket_context_t, WebSocket } from 'uWebSockets.js'
import { raiseHeaderLimit } from '../config/load.ts'

/** The native WebSocket server. It is loaded here and nowhere else: after its header limit is set, and with a message that helps when it cannot be. */

export type {
  HttpRequest,
  HttpResponse,
  TemplatedApp,
  us_listen_socket,
  us_socket_context_t,
  WebSocket,
  WebSocketBehavior,
} from 'uWebSockets.js'

async function load() {
  raiseHeaderLimit()
  try {
    return await import('uWebSockets.js')
  } catch (cause) {
    throw new NativeBinaryError(cause)
  }
}

/** The binary of uWebSockets.js does not exist for this machine. */
class NativeBinaryError extends Error {
  constructor(cause: unknown) {
    const { platform, arch, version } = process
    super(
      `uWebSockets.js has no binary for Node ${version} on ${platform}-${arch} (or it is not installed).\n` +
        'It needs Node 20 or 22 on glibc Linux (2.27 or later; Alpine does not work), or macOS. Use such a Node, run "npm ci" again,\n' +
        'or put the official package in its place: docs/guide/quickstart.md, "The native binary".',
      { cause },
    )
    this.name = 'NativeBinaryError'
  }
}

const uWS = await load()

/** Kinds of compression (RFC 7692). */
export const { DISABLED, SHARED_COMPRESSOR } = uWS as unknown as Record<'DISABLED' | 'SHARED_COMPRESSOR', number>

const lastOpened: unknown[] = [undefined]

/** The open handler of every door: see `upgradeCorked`. */
export const keepOpened = Array.prototype.fill.bind(lastOpened) as unknown as (ws: unknown) => void

/**
 * Completes an upgrade after an await, as one write, and returns the new socket.
 *
 * HttpResponse::cork() of this version looks at the state of the response when its callback is done, and an upgrade has shrunk that block in
 * place: the state lies in freed memory, and when something was allocated there meanwhile, the new socket is closed at once (uWebSockets
 * pull request 1929 tells the story and has the mend). So nothing may run in between that allocates outside the garbage-collected heap: no line of
 * JavaScript, which may be compiled just then, and no store of a property, which may change a hidden class. Both the callback and
 * the open handler are bound built-in functions, and no user data is handed over. Without a cork the answer would be two dozen packets,
 * and the CPU time of a handshake twice as much.
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

/** The socket of the upgrade that is going on was closed in it. */
export function forgetOpened(): void {
  lastOpened[0] = undefined
}

const SHARED_PORT = 0

/** The options work at run time, but the types do not tell. */
type Listen = (host: string, port: number, options: number, done: (socket: us_listen_socket | false) => void) => void

function bind(app: TemplatedApp, host: string, port: number, options: number): us_listen_socket {
  let bound: us_listen_socket | false = false
  ;(app.listen as unknown as Listen).call(app, host, port, options, (socket) => {
    bound = socket
  })
  if (bound) return bound
  throw new Error(`cannot listen on ${host}:${port}: the port is taken, or the address is not of this machine`)
}

/** The apps of a gateway and what they listen on. */
export class Listeners {
  readonly #apps: TemplatedApp[] = []
  readonly #sockets: us_listen_socket[] = []

  app(): TemplatedApp {
    const app = uWS.App()
    this.#apps.push(app)
    return app
  }

  /**
   * Listens on a port that no other gateway has: by default uWebSockets.js sets SO_REUSEPORT, with which a second process on the same port starts
   * without a word and takes half of the clients. So the port is first taken without it, which fails where anybody listens. With more than one
   * listener it is then shared among ours: one has room for 512 connections that wait to be accepted, and who finds it full is tried again
   * by the kernel only after seconds. (A foreign program of the same user that sets SO_REUSEPORT could join them.)
   * @param listeners how many; the kernel spreads connections over them by hash.
   * @returns the port, for those who asked for 0. @throws when it is taken.
   */
  listen(app: TemplatedApp, host: string, port: number, listeners = 1): number {
    const { LIBUS_LISTEN_EXCLUSIVE_PORT: exclusive } = uWS as unknown as { LIBUS_LISTEN_EXCLUSIVE_PORT: number }
    const alone = bind(app, host, port, exclusive)
    const bound = uWS.us_socket_local_port(alone)
    if (listeners === 1) this.#sockets.push(alone)
    else {
      uWS.us_listen_socket_close(alone)
      for (let i = 0; i < listeners; i++) this.#sockets.push(bind(app, host, bound, SHARED_PORT))
    }
    return bound
  }

  /** Takes no new connections; open ones go on. */
  close(): void {
    for (const socket of this.#sockets.splice(0)) uWS.us_listen_socket_close(socket)
  }

  /** Cuts whatever is still open, keep-alive connections of scrapers for instance. */
  stop(): void {
    for (const app of this.#apps.splice(0)) app.close()
  }
}
