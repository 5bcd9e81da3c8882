import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { RedisUpstream } from '../../src/redis/upstream.ts'
import { ErrorReply } from '../../src/redis/wire/errors.ts'
import type { ReplyWaiter } from '../../src/redis/wire/waiter.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import type { Tracing } from '../../src/telemetry/tracing.ts'
import { Command, killCommands, serve } from '../support/cli.ts'
import { connect, refused, type TestClient } from '../support/client.ts'
import { sample } from '../support/gateway.ts'
import { freePort } from '../support/ports.ts'
import { redisFor, type TestRedis } from '../support/redis.ts'
import { atEnd, scopeOf } from '../support/scope.ts'
import { eventually, within } from '../support/wait.ts'

interface Span {
  readonly name: string
  readonly kind: number
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly attributes: { key: string; value: Record<string, unknown> }[]
  readonly links?: { traceId: string; spanId: string }[]
  readonly status?: { code?: number }
}

/** A collector: keeps the spans that it is sent. */
async function startReceiver(at = 0) {
  const spans: Span[] = []
  const services = new Set<string>()
  const paths = new Set<string>()
  const server = createServer(async (req: IncomingMessage, res) => {
    const chunks: Buffer[] = []
    for await (const chunk of req) chunks.push(chunk)
    paths.add(req.url ?? '')
    for (const { resource, scopeSpans } of JSON.parse(Buffer.concat(chunks).toString()).resourceSpans) {
      for (const each of resource.attributes) if (each.key === 'service.name') services.add(each.value.stringValue)
      for (const scope of scopeSpans) spans.push(...scope.spans)
    }
    res.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  }).listen(at, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const stop = () => {
    server.close()
    server.closeAllConnections()
  }
  return { url: `http://127.0.0.1:${port}`, spans, services, paths, stop }
}

const attribute = (span: Span, key: string) =>
  Object.values(span.attributes.find((each) => each.key === key)?.value ?? {})[0]

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const PARENT = '00f067aa0ba902b7'
const OK = { traceparent: `00-${TRACE}-${PARENT}-01` }

describe('traces', () => {
  const suite = scopeOf(after)
  let receiver: Awaited<ReturnType<typeof startReceiver>>
  let redis: TestRedis
  let gateway: Awaited<ReturnType<typeof serve>>
  let client: TestClient
  before(async () => {
    receiver = await startReceiver()
    atEnd(suite, () => receiver.stop())
    redis = await redisFor(suite)
    atEnd(suite, killCommands)
    gateway = await serve({
      REDIS_URL: redis.url,
      OTEL_EXPORTER_OTLP_ENDPOINT: `${receiver.url}/`,
      OTEL_BSP_SCHEDULE_DELAY: '50',
    })
    const agent = await redis.client()
    await eventually(async () => (await fetch(`${gateway.http}/ready`)).ok, 'the gateway to be ready')
    await agent.set('session:s1:auth', 'secret-of-s1')
    client = await connect(`${gateway.ws}/a/ws/s1`, { token: 'secret-of-s1', headers: OK })
    atEnd(suite, () => client.socket.terminate())
    client.send({ type: 'ask' })
    client.send({ type: 'ping' })
  })
  const handshake = (result: string) =>
    eventually(
      () =>
        receiver.spans.find(
          (each) => each.name === 'wsproxy handshake' && attribute(each, 'wsproxy.result') === result,
        ),
      `a handshake with ${result}`,
    )

  it('have one span for an accepted upgrade, which continues the trace of the client', async () => {
    const span = await handshake('accepted')
    assert.equal(span.traceId, TRACE)
    assert.equal(span.parentSpanId, PARENT)
    assert.equal(span.kind, 2)
    assert.equal(attribute(span, 'wsproxy.door'), 'session')
    assert.equal(attribute(span, 'wsproxy.subject'), 's1')
    assert.deepEqual([...receiver.paths], ['/v1/traces'])
    assert.deepEqual([...receiver.services], ['wsproxy'])
  })

  it('have one span for a published client frame, linked to the upgrade, and no span for a frame that the gateway answers', async () => {
    const published = () => receiver.spans.filter(({ name }) => name === 'wsproxy publish')
    await eventually(() => published().length > 0, 'the span of a publish')
    await client.find({ type: 'pong' })
    const accepted = await handshake('accepted')
    const [span, ...more] = published()
    assert.deepEqual(more, [])
    assert.equal(span!.kind, 4)
    assert.equal(attribute(span!, 'messaging.destination.name'), 'session:s1:up')
    assert.equal(attribute(span!, 'wsproxy.result'), 'published')
    assert.deepEqual(
      span!.links?.map(({ traceId, spanId }) => [traceId, spanId]),
      [[TRACE, accepted.spanId]],
    )
    assert.notEqual(span!.traceId, TRACE)
  })

  it('have one span for a refusal, with its code', async () => {
    assert.equal((await refused(`${gateway.ws}/a/ws/s1`, { token: 'wrong', headers: OK })).status, 403)
    assert.equal((await handshake('token-rejected')).traceId, TRACE)
    assert.equal((await refused(`${gateway.ws}/a/ws/s1`)).status, 401)
    const early = await handshake('credentials-missing')
    assert.equal(early.parentSpanId ?? '', '')
  })

  it('start anew when the traceparent header is invalid', async () => {
    const bad = [
      `ff-${TRACE}-${PARENT}-01`,
      `00-${'0'.repeat(32)}-${PARENT}-01`,
      `00-${TRACE}-${PARENT}-01-more`,
      `00-${TRACE}-${PARENT}`,
      'nonsense',
    ]
    for (const traceparent of bad) await refused(`${gateway.ws}/a;b/ws/s1`, { headers: { traceparent } })
    const spans = await eventually(() => {
      const found = receiver.spans.filter((each) => attribute(each, 'wsproxy.result') === 'malformed-id')
      return found.length === bad.length ? found : undefined
    }, 'all of their spans')
    for (const span of spans) {
      assert.notEqual(span.traceId, TRACE)
      assert.equal(span.parentSpanId ?? '', '')
    }
    assert.equal(new Set(spans.map(({ traceId }) => traceId)).size, bad.length)
  })

  it('contain no token', () => {
    assert.ok(!JSON.stringify(receiver.spans).includes('secret-of-s1'))
    assert.ok(receiver.spans.length > 3)
  })

  it('are sent completely before the gateway exits', async () => {
    const own = await serve({
      REDIS_URL: redis.url,
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_SERVICE_NAME: 'mine',
    })
    await eventually(async () => (await fetch(`${own.http}/ready`)).ok, 'the gateway to be ready')
    await refused(`${own.ws}/last/ws/!`)
    own.command.signal('SIGTERM')
    assert.equal(await own.command.status(), 0)
    assert.ok(receiver.services.has('mine'))
  })
})

describe('a gateway whose collector of traces is away', () => {
  it('logs it once, counts the lost spans, and logs when the collector is back', async (t) => {
    const redis = await redisFor(t)
    atEnd(t, killCommands)
    const port = await freePort()
    const { command, http, ws } = await serve({
      REDIS_URL: redis.url,
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
      OTEL_EXPORTER_OTLP_TIMEOUT: '200',
      OTEL_BSP_SCHEDULE_DELAY: '20',
    })
    await eventually(async () => (await fetch(`${http}/ready`)).ok, 'the gateway to be ready')
    const lost = async () => sample(await (await fetch(`${http}/metrics`)).text(), 'wsproxy_trace_spans_lost_total')
    assert.equal(await lost(), 0)
    const fail = async (spans: number) => {
      await refused(`${ws}/a/ws/!`)
      return (await lost()) >= spans
    }
    await eventually(() => fail(3), 'lost spans')
    const lines = () =>
      command.lines.filter((line) => line.includes('"trace-collector"')).map((line) => JSON.parse(line))
    assert.equal(lines().length, 1)
    assert.equal(lines()[0].level, 'warn')
    assert.match(lines()[0].reason, /ECONNREFUSED|timed? ?out/i)

    const receiver = await startReceiver(port)
    atEnd(t, () => receiver.stop())
    await eventually(async () => {
      await refused(`${ws}/a/ws/!`)
      return lines().length > 1
    }, 'the line when it is back')
    assert.equal(lines()[1].level, 'info')
    assert.ok(lines()[1].lost >= 3)
  })
})

describe('a gateway without an OTLP endpoint', () => {
  it('loads no module of OpenTelemetry', async (t) => {
    const redis = await redisFor(t)
    const { command, http } = await serve({ REDIS_URL: redis.url, NODE_DEBUG: 'esm,module' })
    await eventually(async () => (await fetch(`${http}/ready`)).ok, 'the gateway to be ready')
    command.signal('SIGTERM')
    assert.equal(await command.status(), 0)
    // The log of modules is on.
    assert.match(command.stderr, /uws_\w+\.node/)
    assert.doesNotMatch(command.stderr, /opentelemetry/)
  })

  it('does not start with an invalid endpoint, and names the setting', async () => {
    const command = new Command(['serve'], { env: { OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' } })
    assert.equal(await command.status(), 2)
    assert.match(command.stderr, /^OTEL_EXPORTER_OTLP_ENDPOINT: must be http/m)
  })
})

describe('the span of a client frame', () => {
  it('ends exactly once when the frame is published late, refused or uncertain', async () => {
    const metrics = new Metrics()
    const ends: string[][] = []
    const publish = () => {
      const results: string[] = []
      ends.push(results)
      return { context: undefined as never, end: (result: string) => void results.push(result) }
    }
    const answers: ((waiter: ReplyWaiter) => void)[] = [
      (waiter) => waiter.answered(1),
      (waiter) => waiter.failed(new Error('connection lost')),
      (waiter) => waiter.failed(new ErrorReply('NOPERM')),
    ]
    const submit = (_: unknown, waiter: ReplyWaiter) => setImmediate(answers.shift()!, waiter)
    let there = false
    const upstream = new RedisUpstream({
      link: () => (there ? ({ client: { submit } } as never) : undefined),
      sharded: false,
      moved: () => {},
      metrics,
      tracing: { publish } as unknown as Tracing,
      maxMessages: 3,
      maxBytes: 10_000,
    })
    for (let i = 0; i < 4; i++) upstream.publisher('up', () => {}).publish(Buffer.from('{}'))
    assert.deepEqual(ends, [[], [], [], ['upstream-unavailable']])
    there = true
    upstream.release()
    await within(upstream.settled(), 'all to be sent')
    assert.deepEqual(ends, [['published'], ['upstream-uncertain'], ['upstream-unavailable'], ['upstream-unavailable']])
    metrics.stop()
  })
})
