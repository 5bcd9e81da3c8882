import { randomBytes } from 'node:crypto'
import type { AddressInfo, Socket } from 'node:net'
import {
  createRedisCommandExecutor,
  RedisServerState,
  Resp2Server,
  resolveCompatibilityProfile,
} from 'js-redis-server/core'

/** A Redis-compatible server inside this process, for development and demos. */
export interface EmbeddedRedis {
  /** With the password, which is another one at each start. */
  readonly url: string
  /** `host:port`, for messages. */
  readonly address: string
  close(): Promise<void>
}

/**
 * Starts an embedded server on loopback, with keyspace events on and a random password: other users
 * of this machine reach loopback, too. Built from the parts of js-redis-server, because its own
 * start function listens on every interface without a password, waits 40 ms for Nagle's algorithm,
 * and does not close while a client is connected.
 * @param port 0: any free port. Rejects with EADDRINUSE when the port is taken.
 * @param password Default: 48 random characters. Empty: none, for tests that dial by port.
 */
export async function startEmbeddedRedis(port = 0, password = newPassword()): Promise<EmbeddedRedis> {
  const compatibility = resolveCompatibilityProfile('redis-7.0')
  const state = new RedisServerState({
    databaseCount: 16,
    compatibility,
    ...(password !== '' && { requirepass: password }),
  })
  state.notifyKeyspaceEvents = 'AKE'
  const resp = new Resp2Server({ server: state, executor: createRedisCommandExecutor({ compatibility }) })
  const open = new Set<Socket>()
  // Before the listener of the library, which parses what arrives.
  resp.server.prependListener('connection', (socket: Socket) => {
    cutHttp(socket)
    socket.setNoDelay(true)
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  await new Promise<void>((resolve, reject) => {
    resp.server.once('error', reject)
    resp.server.listen(port, '127.0.0.1', resolve)
  })
  const { port: taken } = resp.server.address() as AddressInfo
  const address = `127.0.0.1:${taken}`
  return {
    url: password === '' ? `redis://${address}` : `redis://default:${password}@${address}`,
    address,
    close: async () => {
      const closed = resp.close()
      for (const socket of open) socket.destroy()
      await closed
    },
  }
}

const newPassword = (): string => randomBytes(24).toString('hex')

/** Bytes of the last chunk that may be the beginning of a line of HTTP. */
const TAIL = 8

/**
 * Destroys a connection that speaks HTTP, as Redis does, before its body is parsed as commands: a
 * page of any site can make a browser post to loopback. A connection that begins with `*` speaks
 * RESP, which no browser sends first, and is not looked at again.
 */
function cutHttp(socket: Socket): void {
  const push = socket.push.bind(socket)
  let tail = '\n'
  socket.push = (chunk: Buffer | null, encoding?: BufferEncoding): boolean => {
    if (chunk === null) return push(chunk, encoding)
    const text = tail + chunk.toString('latin1')
    if (text.startsWith('\n*')) socket.push = push
    else if (/\n(POST |Host:)/i.test(text)) {
      socket.destroy()
      return false
    }
    tail = text.slice(-TAIL)
    return push(chunk, encoding)
  }
}
