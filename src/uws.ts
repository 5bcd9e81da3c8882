import type { TemplatedApp, us_listen_socket } from 'uWebSockets.js'
import { raiseHeaderLimit } from './config.ts'

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
export class NativeBinaryError extends Error {
  constructor(cause: unknown) {
    const { platform, arch, version } = process
    super(
      `uWebSockets.js has no binary for Node ${version} on ${platform}-${arch} (or it is not installed).\n` +
        'It needs Node 20 or 22 on glibc Linux (2.27 or later; Alpine does not work), or macOS. Use such a Node, run "npm ci" again,\n' +
        'or put the official package in its place: README.md, "The native binary".',
      { cause },
    )
    this.name = 'NativeBinaryError'
  }
}

export const uWS = await load()

/**
 * Listens on a port that is ours alone: by default uWebSockets.js sets SO_REUSEPORT, with which a second process on the same port starts
 * without a word and takes half of the clients. The option works at run time, but its types do not tell.
 */
export function listenExclusively(
  app: TemplatedApp,
  host: string,
  port: number,
  done: (socket: us_listen_socket | false) => void,
): void {
  const { LIBUS_LISTEN_EXCLUSIVE_PORT } = uWS as unknown as { LIBUS_LISTEN_EXCLUSIVE_PORT: number }
  const listen = app.listen as unknown as (
    host: string,
    port: number,
    options: number,
    done: (s: us_listen_socket | false) => void,
  ) => void
  listen.call(app, host, port, LIBUS_LISTEN_EXCLUSIVE_PORT, done)
}
