/**
 * The peer: the gateway that most people write by hand with `ws` and `redis`, both with default
 * options. It has the same URLs, keys, channels and environment (REDIS_URL, LISTEN_ADDR,
 * AUTH_TOKEN_MODE) as ours and nothing else: no limits, no heartbeat, no bounded buffers, no
 * metrics. Its only setting is a backlog large enough for a burst of connections.
 */
import { createServer, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { createClient } from 'redis'
import { type WebSocket, WebSocketServer } from 'ws'

const redisUrl = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379'
const [host, port] = (process.env.LISTEN_ADDR ?? '127.0.0.1:8080').split(':')
const reusable = process.env.AUTH_TOKEN_MODE === 'reusable'

const redis = createClient({ url: redisUrl })
const subscriber = redis.duplicate()
for (const client of [redis, subscriber]) client.on('error', (error) => console.error('redis:', error.message))

/** A session with its sockets and the single listener on its channel. */
interface Session {
  sockets: Set<WebSocket>
  pending: number
  subscribed: Promise<void>
  listener: (message: string) => void
}

const sessions = new Map<string, Session>()

/** Resolves when the session's channel is subscribed. */
async function join(id: string): Promise<Session> {
  let session = sessions.get(id)
  if (!session) {
    const sockets = new Set<WebSocket>()
    const listener = (message: string) => {
      for (const socket of sockets) socket.send(message)
    }
    const subscribed = subscriber.subscribe(`session:${id}:down`, listener)
    session = { sockets, pending: 0, subscribed, listener }
    sessions.set(id, session)
  }
  session.pending++
  try {
    await session.subscribed
  } finally {
    session.pending--
  }
  return session
}

/** Unsubscribes when the last socket of the session has left. */
function leave(id: string, session: Session, socket: WebSocket): void {
  session.sockets.delete(socket)
  if (session.sockets.size > 0 || session.pending > 0) return
  sessions.delete(id)
  subscriber.unsubscribe(`session:${id}:down`, session.listener).catch(console.error)
}

/**
 * Compares the bearer token with the one in Redis and deletes it there, unless
 * AUTH_TOKEN_MODE=reusable.
 */
async function isAllowed(id: string, authorization: string | undefined): Promise<boolean> {
  if (!authorization?.startsWith('Bearer ')) return false
  const key = `session:${id}:auth`
  const expected = await (reusable ? redis.get(key) : redis.getDel(key))
  return expected !== null && expected === authorization.slice('Bearer '.length)
}

function refuse(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
}

const sockets = new WebSocketServer({ noServer: true })

async function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
  const id = /^\/[\w.-]+\/ws\/([\w.-]+)$/.exec(request.url ?? '')?.[1]
  if (!id) return refuse(socket, '404 Not Found')
  if (!(await isAllowed(id, request.headers.authorization))) return refuse(socket, '403 Forbidden')
  const session = await join(id)
  sockets.handleUpgrade(request, socket, head, (ws) => {
    session.sockets.add(ws)
    ws.on('message', (message) => {
      redis.publish(`session:${id}:up`, message.toString()).catch(console.error)
    })
    ws.on('close', () => leave(id, session, ws))
    ws.on('error', console.error)
  })
}

const server = createServer((_request, response) => response.writeHead(426).end())
server.on('upgrade', (request, socket, head) => {
  socket.on('error', () => socket.destroy())
  upgrade(request, socket, head).catch((error) => {
    console.error(error)
    refuse(socket, '503 Service Unavailable')
  })
})

await Promise.all([redis.connect(), subscriber.connect()])
server.listen({ host, port: Number(port), backlog: 4096 }, () => console.log(`listening on ${host}:${port}`))
