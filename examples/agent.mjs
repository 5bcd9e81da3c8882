import { createClient } from 'redis'

const url = process.env.REDIS_URL
const connect = () => createClient({ url }).on('error', console.error).connect()
const [redis, subscriber] = await Promise.all([connect(), connect()])
const send = (frame) => redis.publish('session:s1:down', JSON.stringify(frame))
await subscriber.subscribe('session:s1:up', async (message) => {
  for (const text of ['You', 'said:', JSON.parse(message).text]) await send({ type: 'token', text })
  await send({ type: 'control', command: 'stream_end' })
})
const token = crypto.randomUUID()
await redis.setEx('session:s1:auth', 60, token)
console.log(token)
