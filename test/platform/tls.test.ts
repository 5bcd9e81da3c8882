import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import fs, { copyFileSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { after, before, describe, it } from 'node:test'
import { startBrowser, withoutBrowser } from '../support/browser.ts'
import { Certificate, fingerprintAt, shake, withoutOpenssl } from '../support/certificates.ts'
import { killCommands, run, serve } from '../support/cli.ts'
import { connect } from '../support/client.ts'
import { assertProblem } from '../support/config.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { freePort } from '../support/ports.ts'
import { scopeOf, stopAtEnd } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

describe('TLS', { skip: withoutOpenssl }, () => {
  const suite = scopeOf(after)
  after(killCommands)
  let certificate: Certificate
  let gateway: TestGateway
  let port: number
  let adminPort: number

  before(async () => {
    certificate = new Certificate(suite)
    adminPort = await freePort()
    const env = { TLS_CERT: certificate.cert, TLS_KEY: certificate.key, ADMIN_PORT: String(adminPort) }
    gateway = await gatewayFor(suite, { env })
    port = Number(new URL(gateway.url).port)
  })

  const wss = (path: string) => `wss://localhost:${port}${path}`
  const join = async (session: string) =>
    connect(wss(`/agent/ws/${session}`), { token: await gateway.token(session), ca: certificate.ca })

  const renewals = () => gateway.log.filter(({ event }) => event === 'certificate-renewed')

  const served = (at = port) => fingerprintAt(at)

  it('carries frames both ways over wss:// to a page in Chromium', { skip: withoutBrowser }, async () => {
    const heard: string[] = []
    const up = await gateway.redis.client()
    await up.subscribe('session:tls-page:up', (text) => heard.push(text))
    const browser = await startBrowser()
    await stopAtEnd(suite, { stop: () => browser.close() })
    const page = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage()
    const bearer = `bearer.${Buffer.from(await gateway.token('tls-page')).toString('base64url')}`
    await page.evaluate(`new Promise((resolve, reject) => {
      socket = new WebSocket('${wss('/agent/ws/tls-page')}', ['wsproxy.v1', '${bearer}'])
      socket.onmessage = ({ data }) => { document.title = data }
      socket.onopen = () => { socket.send('{"hello":"agent"}'); resolve() }
      socket.onclose = ({ code }) => reject(new Error(String(code)))
    })`)
    await eventually(() => heard.length === 1, 'the frame of the page')
    await gateway.agent.publish('session:tls-page:down', 'hello page')
    await eventually(async () => (await page.title()) === 'hello page', 'the message')
  })

  it('carries frames both ways over wss:// to a client that verifies the certificate', async () => {
    const client = await join('tls-1')
    const heard: string[] = []
    const up = await gateway.redis.client()
    await up.subscribe('session:tls-1:up', (text) => heard.push(text))
    client.send({ hello: 'agent' })
    await eventually(() => heard.length === 1, 'the frame of the client')
    const large = JSON.stringify({ text: 'x'.repeat(300_000) })
    await gateway.agent.publish('session:tls-1:down', large)
    assert.deepEqual(await client.take(1), [large])
    await client.close()
  })

  it('is at least version 1.2', async () => {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const socket = await shake(port, { minVersion: version, maxVersion: version })
      assert.equal(socket.getProtocol(), version)
      socket.destroy()
    }
    for (const version of ['TLSv1', 'TLSv1.1'] as const)
      await assert.rejects(shake(port, { minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' }))
  })

  it('leaves no plain listener on its ports', async () => {
    for (const each of [port, adminPort]) await assert.rejects(fetch(`http://127.0.0.1:${each}/health`))
  })

  it('serves the preflight check that makes an upgrade, and wsproxy health', async () => {
    const env = { LISTEN_ADDR: `127.0.0.1:${port}`, TLS_CERT: certificate.cert, TLS_KEY: certificate.key }
    const { status, stdout } = await run(['health'], { env })
    assert.equal(status, 0)
    assert.match(stdout, /"healthy"/)
    const doctor = await run(['doctor', '--json'], { env: { ...env, REDIS_URL: gateway.redis.url } })
    assert.match(doctor.stdout, /wss:\/\/127\.0\.0\.1:\d+/)
  })

  it('uses a renewed certificate on each port, and open sockets stay', async () => {
    const client = await join('tls-2')
    const before = await served()
    certificate.renew()
    const line = await eventually(() => renewals()[0], 'the new certificate')
    assert.notEqual(line.fingerprint, before)
    assert.equal(await served(adminPort), line.fingerprint)
    // Every listener has it, not only one of those that share the port.
    for (let i = 0; i < 50; i++) assert.equal(await served(), line.fingerprint)
    const other = await join('tls-3')
    for (const [session, each] of [
      ['tls-2', client],
      ['tls-3', other],
    ] as const) {
      await gateway.agent.publish(`session:${session}:down`, '{"after":"renewal"}')
      assert.deepEqual(await each.take(1), ['{"after":"renewal"}'])
    }
  })

  it('uses a certificate that was renewed while it began to listen', async (t) => {
    const own = new Certificate(t)
    const { statSync } = fs
    let isRenewed = false
    t.mock.method(fs, 'statSync', (path: string, options: object) => {
      if (path === own.cert && !isRenewed) {
        isRenewed = true
        own.renew()
      }
      return statSync(path, options)
    })
    syncBuiltinESMExports()
    t.after(() => {
      t.mock.reset()
      syncBuiltinESMExports()
    })
    const other = await gatewayFor(t, { env: { TLS_CERT: own.cert, TLS_KEY: own.key } })
    assert.ok(isRenewed)
    const { fingerprint256 } = new X509Certificate(own.ca)
    const at = Number(new URL(other.url).port)
    await eventually(async () => (await served(at)) === fingerprint256, 'the new certificate')
  })

  it('keeps the old certificate while the files do not match, and logs that once', async () => {
    const before = await served()
    const other = new Certificate(suite)
    copyFileSync(other.cert, certificate.cert)
    const refused = () => gateway.log.filter(({ event }) => event === 'certificate-refused')
    await eventually(() => refused().length > 0, 'the warning')
    assert.match(String(refused()[0]!.reason), /^TLS_KEY: .*not that of the certificate/)
    assert.equal(await served(), before)
    copyFileSync(other.key, certificate.key)
    const { fingerprint256 } = new X509Certificate(other.ca)
    await eventually(() => renewals().at(-1)?.fingerprint === fingerprint256, 'the new certificate')
    assert.equal(await served(), fingerprint256)
    assert.equal(refused().length, 1)
  })

  it('ends the start with status 2 and the file that cannot be used', async () => {
    const broken = `${certificate.cert}.broken`
    writeFileSync(broken, 'nonsense')
    const other = new Certificate(suite)
    for (const [cert, key, says] of [
      ['/nowhere/tls.crt', certificate.key, /^TLS_CERT: .*\/nowhere\/tls\.crt/],
      [certificate.cert, '/nowhere/tls.key', /^TLS_KEY: .*\/nowhere\/tls\.key/],
      [broken, certificate.key, /^TLS_CERT: .*broken.*not usable/],
      [certificate.cert, broken, /^TLS_KEY: .*broken.*not usable/],
      [certificate.cert, other.key, /^TLS_KEY: .*not that of the certificate/],
    ] as const) {
      const { status, complaints } = await run(['serve'], {
        env: { TLS_CERT: cert, TLS_KEY: key, REDIS_URL: 'redis://x' },
      })
      assert.equal(status, 2)
      assert.equal(complaints.length, 1)
      assert.match(complaints[0]!, says)
    }
    assertProblem({ TLS_CERT: '/a' }, /^TLS_KEY: /)
    assertProblem({ TLS_KEY: '/a' }, /^TLS_CERT: /)
    assertProblem({ TLS_CERT: '/a', TLS_KEY: '/b', TRUST_PROXY: 'proxy-protocol' }, /^TRUST_PROXY: .*TLS_CERT/)
  })

  it('is left to the load balancer in production without a certificate, which a line says', async () => {
    const { command } = await serve({ NODE_ENV: 'production', REDIS_URL: gateway.redis.url })
    await command.prints(/TLS_CERT is not set: TLS is left to the load balancer/)
  })
})
