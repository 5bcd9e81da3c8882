import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Certificate, fingerprintAt, withoutOpenssl } from '../support/certificates.ts'
import { killCommands, listeningPort } from '../support/cli.ts'
import { sample } from '../support/gateway.ts'
import { freePort } from '../support/ports.ts'
import { type Client, redisFor, type TestRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'
import { assertDisconnected, joinAll, serveWorkers, startWorkers } from '../support/workers.ts'

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
    await assertDisconnected(clients, 'admin', admin, ADMIN_TOKEN)
  })

  it('share a certificate, and each takes a renewed one', { skip: withoutOpenssl }, async (t) => {
    const certificate = new Certificate(t)
    const served = startWorkers(t, {
      REDIS_URL: redis.url,
      AUTH_TOKEN_MODE: 'reusable',
      TLS_CERT: certificate.cert,
      TLS_KEY: certificate.key,
    })
    const port = await listeningPort(served.command)
    await served.allListen()
    const fingerprints = async () =>
      new Set(await Promise.all(Array.from({ length: SOCKETS }, () => fingerprintAt(Number(port)))))
    const [old, ...others] = await fingerprints()
    assert.deepEqual(others, [])
    certificate.renew()
    // One that looked while the pair was replaced reads it twice.
    const renewers = () => new Set(served.events('certificate-renewed').map(({ worker }) => worker))
    await eventually(() => renewers().size === 2, 'both workers to have the new one')
    const renewed = await fingerprints()
    assert.equal(renewed.size, 1)
    assert.ok(!renewed.has(old!))
    const clients = await joinAll(agent, `wss://localhost:${port}`, 'secure', SOCKETS, { ca: certificate.ca })
    await agent.publish('session:secure:down', '{"n":1}')
    for (const client of clients) await client.find({ n: 1 })
  })
})
