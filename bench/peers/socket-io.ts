/**
 * The peer: socket.io 4 with its Redis adapter and default options. A session is a room; agents
 * publish with @socket.io/redis-emitter. The token comes in the CONNECT packet, as in socket.io's
 * documentation, and is checked in Redis as in the other peers.
 */
import { createServer } from 'node:http'
import { createAdapter } from '@socket.io/redis-adapter'
import { createClient } from 'redis'
import { Server } from 'socket.io'

const redisUrl = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379'
const [host, port] = (process.env.LISTEN_ADDR ?? '127.0.0.1:8080').split(':')
const reusable = process.env.AUTH_TOKEN_MODE === 'reusable'

const redis = createClient({ url: redisUrl })
const subscriber = redis.duplicate()
for (const client of [redis, subscriber]) client.on('error', (error) => console.error('redis:', error.message))
await Promise.all([redis.connect(), subscriber.connect()])

const server = createServer()
const io = new Server(server, { adapter: createAdapter(redis, subscriber) })

io.use(async (socket, next) => {
  const { session, token } = socket.handshake.auth
  const key = `session:${session}:auth`
  const expected = await (reusable ? redis.get(key) : redis.getDel(key))
  if (expected === null || expected !== token) return next(new Error('forbidden'))
  socket.data.session = session
  next()
})

io.on('connection', (socket) => {
  const { session } = socket.data
  socket.join(session)
  socket.on('message', (message) => {
    redis.publish(`session:${session}:up`, JSON.stringify(message)).catch(console.error)
  })
})

server.listen({ host, port: Number(port), backlog: 4096 }, () => console.log(`listening on ${host}:${port}`))
