import { createClient } from 'redis'

const url = process.env.REDIS_URL
const connect = () => createClient({ url }).on('error', console.error).connect()
const [redis, subscriber] = await Promise.all([connect(), connect()])
const keys = ['{session:s1:down}:log', '{session:s1:down}:meta']
// The log lives for an hour and keeps 10,000 messages of 16 MiB in all. Returns the number.
const say = (frame, flags = '') =>
  redis.fCall('wsproxy_say', { keys, arguments: [JSON.stringify(frame), '3600', '10000', '16777216', flags] })
// The key outlives an agent that was away when the client cancelled.
const isCancelled = async () => (await redis.getDel('session:s1:cancel')) !== null

await subscriber.subscribe('session:s1:up', async (message) => {
  const { command, text } = JSON.parse(message)
  if (command === 'cancel') return
  for (const word of ['You', 'said:', ...text.split(' ')]) {
    if (await isCancelled()) break
    await say({ type: 'token', text: word })
  }
  await say({ type: 'control', command: 'stream_end' })
})
const token = crypto.randomUUID()
await redis.setEx('session:s1:auth', 60, token)
console.log(token)
