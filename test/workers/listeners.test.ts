import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, it } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { Certificate, withoutOpenssl } from '../support/certificates.ts'
import { killCommands, run } from '../support/cli.ts'
import { connect } from '../support/client.ts'
import { sample } from '../support/gateway.ts'
import { freePort } from '../support/ports.ts'
import { type Client, redisFor, type TestRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually, within } from '../support/wait.ts'
import { joinAll, serveWorkers, startWorkers } from '../support/workers.ts'

const SOCKETS = 12
const ADMIN_TOKEN = 'a-token-of-the-operators'

describe('the listeners of workers', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let agent: Client
  before(async () => {
    redis = await redisFor(suite)
    agent = await redis.client()
  })
  after(killCommands)

  it('answer for all workers at ADMIN_PORT, and close sockets of each', async (t) => {
    const admin = `http://127.0.0.1:${await freePort()}`
    const served = await serveWorkers(t, {
      REDIS_URL: redis.url,
      AUTH_TOKEN_MODE: 'reusable',
      ADMIN_TOKEN,
      ADMIN_PORT: new URL(admin).port,
      METRICS_MAX_AGE: '0',
    })
    await served.allListen()
    const clients = await joinAll(agent, served.ws, 'admin', SOCKETS)
    // The kernel gives each request to one of the workers.
    for (let i = 0; i < 6; i++) {
      const page = await (await fetch(`${admin}/metrics`, { headers: { Connection: 'close' } })).text()
      assert.equal(sample(page, 'wsproxy_active_connections', { door: 'session' }), SOCKETS)
    }
    assert.equal((await fetch(`${served.http}/metrics`)).status, 404)
    const options = { env: { ADMIN_TOKEN } }
    const { stdout, stderr } = await run(['disconnect', '--session', 'admin', '--gateway', admin], options)
    assert.match(stdout, new RegExp(`\\b${SOCKETS}\\b`), stderr)
    for (const client of clients) assert.equal((await within(client.closed, 'the close')).code, 4403)
  })

  it('share a certificate, and each takes a renewed one', { skip: withoutOpenssl }, async (t) => {
    const certificate = new Certificate(t)
    const served = startWorkers(t, {
      REDIS_URL: redis.url,
      AUTH_TOKEN_MODE: 'reusable',
      TLS_CERT: certificate.cert,
      TLS_KEY: certificate.key,
    })
    const [, port] = await served.command.prints(/"event":"listening","host":"[^"]*","port":(\d+)/)
    await served.allListen()
    const fingerprint = async () => {
      const socket = connectTls({ host: '127.0.0.1', port: Number(port), rejectUnauthorized: false })
      await once(socket, 'secureConnect')
      const { fingerprint256 } = socket.getPeerCertificate()
      socket.destroy()
      return fingerprint256
    }
    const fingerprints = async () => new Set(await Promise.all(Array.from({ length: SOCKETS }, fingerprint)))
    const [old, ...others] = await fingerprints()
    assert.deepEqual(others, [])
    certificate.renew()
    await eventually(() => served.events('certificate-renewed').length === 2, 'both workers to have the new one')
    const renewed = await fingerprints()
    assert.equal(renewed.size, 1)
    assert.ok(!renewed.has(old!))
    await agent.set('session:secure:auth', 'token')
    const to = `wss://localhost:${port}/agent/ws/secure`
    const clients = await Promise.all(
      Array.from({ length: SOCKETS }, () => connect(to, { token: 'token', ca: certificate.ca })),
    )
    await agent.publish('session:secure:down', '{"n":1}')
    for (const client of clients) await client.find({ n: 1 })
  })
})
