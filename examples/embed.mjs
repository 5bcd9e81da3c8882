import { createGateway } from 'wsproxy-gateway'

/** `GET /news/{topic}`: each client gets the messages of the Redis channel `news:<topic>`. */
const news = ({ path, channel, stats, refusals }) => ({
  name: 'news',
  subjectName: 'topic',
  path: path('/news/:topic'),
  maxMessageBytes: 1024,
  rate: { intervalMs: 1000, burst: 5 },
  idleTimeout: undefined,
  stats: stats('news'),
  admit([topic]) {
    if (!/^[a-z]{1,32}$/.test(topic)) return refusals['malformed-id']
    const redisChannel = channel(`news:${topic}`)
    const source = { render: (_, message) => message }
    return { kind: 'admission', subject: topic, source, redisChannel, topics: [[redisChannel]], topicsRequired: true }
  },
  receive() {},
  rateLimited() {},
  goodbye() {},
})

const clock = {
  name: 'clock',
  priority: 10,
  appliesTo: 'all',
  execute: async (_launch, _signal, { now }) => ({ status: now() > 0 ? 'pass' : 'fail', message: 'the clock is set' }),
}

const gateway = await createGateway({ checks: [clock], doors: (tools) => [news(tools)] })
const { port } = gateway.listen()
console.log(`ws://127.0.0.1:${port}/news/world`)
process.once('SIGTERM', () => gateway.stop())
