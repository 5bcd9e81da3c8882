import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { after, before, describe, it } from 'node:test'
import { sessionDown } from '../../../src/contract/names.ts'
import { type EmbeddedRedis, startEmbeddedRedis } from '../../../src/redis/servers/embedded.ts'
import { gatewayFor } from '../../support/gateway.ts'
import { live } from '../../support/live.ts'
import type { Client } from '../../support/redis.ts'
import { createClient } from '../../support/redis-client.ts'
import { watchRun } from '../../support/runs.ts'
import { eventually, within } from '../../support/wait.ts'

describe('a gateway on the embedded server', () => {
  it('admits clients at every door on the embedded server', async (t) => {
    const server = await startEmbeddedRedis()
    const stopped = () => server.close()
    const port = Number(new URL(server.url).port)
    const agents: { destroy(): void }[] = []
    const agent = async () => {
      const made = await createClient({ url: server.url })
        .on('error', () => {})
        .connect()
      agents.push(made)
      return made as unknown as Client
    }
    const gateway = await gatewayFor(t, { redis: { url: server.url, port, client: agent, stop: stopped } })
    for (let round = 0; round < 3; round++) {
      const clients = await Promise.all([
        live(gateway),
        live(gateway, '/api/dashboard/ws/system'),
        gateway.join(`session-${round}`),
        watchRun(gateway, `run-${round}`),
      ])
      await gateway.agent.publish(sessionDown(`session-${round}`), 'hello')
      assert.deepEqual(await clients[2].take(1), ['hello'])
      for (const client of clients) client.socket.close()
    }
    for (const each of agents) each.destroy()
    await stopped()
  })
})

describe('the embedded server', () => {
  let server: EmbeddedRedis
  before(async () => {
    server = await startEmbeddedRedis()
  })
  after(() => server.close())

  async function client(url = server.url) {
    const made = createClient({ url, socket: { reconnectStrategy: false } })
    made.on('error', () => {})
    await made.connect()
    return made
  }

  it('listens at the URL that the embedded server returns, on loopback', async () => {
    assert.match(server.url, /^redis:\/\/default:[0-9a-f]{48}@127\.0\.0\.1:\d+$/)
    const one = await client()
    assert.equal(await one.ping(), 'PONG')
    await one.set('key', 'value')
    assert.equal(await one.get('key'), 'value')
    one.destroy()
  })

  it('does not listen on another address of this machine', async () => {
    const others = Object.values(networkInterfaces())
      .flatMap((each) => each ?? [])
      .filter(({ family, internal }) => family === 'IPv4' && !internal)
    // All of 127.0.0.0/8 is this machine on Linux; one who listens on every address answers there
    // too.
    const loopback = process.platform === 'linux' ? '127.0.0.2' : '::1'
    for (const { address } of [...others, { address: loopback }]) {
      const socket = connect(Number(new URL(server.url).port), address)
      const [error] = await once(socket, 'connect').then(
        () => [undefined],
        (cause: Error) => [cause],
      )
      socket.destroy()
      assert.ok(error, `nobody answers at ${address}`)
    }
  })

  it('the embedded server executes nothing that a browser posts, however the request is cut', async () => {
    const port = Number(new URL(server.url).port)
    const body = 'SET planted yes\r\n'
    const requests = [
      `POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      `PUT / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n${body}`,
      `\r\npost /\r\n${body}`,
    ]
    for (const request of requests) {
      for (const at of [request.length, 1, 3, 18]) {
        const socket = connect(port, '127.0.0.1')
        socket.on('error', () => {})
        await once(socket, 'connect')
        socket.setNoDelay(true)
        const closed = once(socket, 'close')
        socket.write(request.slice(0, at))
        await new Promise((resolve) => setImmediate(resolve))
        socket.write(request.slice(at))
        socket.resume()
        await within(closed, 'the end of the connection')
      }
    }
    const one = await client()
    assert.equal(await one.get('planted'), null)
    await one.set('text', '\r\nHost: is only text here\r\nPOST this')
    assert.match(String(await one.get('text')), /Host:/)
    one.destroy()
  })

  it('sends keyspace events from the embedded server', async () => {
    const [writer, subscriber] = [await client(), await client()]
    const events: string[] = []
    await subscriber.subscribe('__keyspace@0__:run', (event) => events.push(event))
    await writer.hSet('run', 'field', '1')
    await writer.del('run')
    await eventually(() => events.length === 2, 'the events')
    assert.deepEqual(events, ['hset', 'del'])
    for (const each of [writer, subscriber]) each.destroy()
  })

  it("answers a small command without the delay of Nagle's algorithm", async () => {
    const one = await client()
    const startedAt = performance.now()
    for (let i = 0; i < 50; i++) await one.ping()
    const each = (performance.now() - startedAt) / 50
    one.destroy()
    assert.ok(each < 30, `${each} ms a command`)
  })

  it('rejects with EADDRINUSE when the port of the embedded server is taken', async () => {
    await assert.rejects(startEmbeddedRedis(Number(new URL(server.url).port)), { code: 'EADDRINUSE' })
  })

  it('closes the embedded server while clients are connected', async () => {
    const other = await startEmbeddedRedis()
    const [idle, subscriber] = [await client(other.url), await client(other.url)]
    await subscriber.subscribe('channel', () => {})
    const ended = Promise.all([idle, subscriber].map((each) => once(each, 'end').catch(() => {})))
    await within(other.close(), 'the close', 5000)
    await within(ended, 'the end of the clients')
    await assert.rejects(client(other.url))
  })
})
