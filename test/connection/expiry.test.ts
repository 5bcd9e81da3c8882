import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { connect } from '../support/client.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { scopeOf } from '../support/scope.ts'
import { openStream } from '../support/sse.ts'
import { secretSigner, tokenOf } from '../support/tokens.ts'
import { within } from '../support/wait.ts'

const SECRET = randomBytes(24).toString('hex')
const SKEW_MS = 1000
const NOTICE_MS = 1000
/** Node's timers and the sweep run late on a busy machine. */
const LATE_MS = 1000

/** Each test waits for an expiry of its own, so all of them wait at the same time. */
describe('a socket whose JWT expires', { concurrency: true }, () => {
  const suite = scopeOf(after)
  const signer = secretSigner(SECRET)
  let gateway: TestGateway

  before(async () => {
    const env = {
      AUTH_JWT_SECRET: SECRET,
      AUTH_JWT_SKEW: '1s',
      AUTH_EXPIRY_NOTICE: '1s',
      RUN_AUTH: 'bearer',
      WS_AUTH_REQUIRED: 'true',
    }
    gateway = await gatewayFor(suite, { env })
  })

  const expiry = () => Math.floor(Date.now() / 1000) + 3

  /** Expects the close within a second of `exp` and the skew, and not before. */
  async function assertClosed(closed: Promise<{ code: number; reason: string }>, exp: number): Promise<void> {
    assert.deepEqual(await within(closed, 'the close'), { code: 4401, reason: 'expired retry=0' })
    const lateMs = Date.now() - (exp * 1000 + SKEW_MS)
    assert.ok(lateMs >= 0 && lateMs <= LATE_MS, `the close came ${lateMs} ms after exp and the skew`)
  }

  for (const protocol of ['wsproxy.v1', 'wsproxy.v2'])
    it(`gets a notice and is closed with 4401, with ${protocol}`, async () => {
      const exp = expiry()
      const token = tokenOf(signer, { session_id: 's1', exp })
      const client = await connect(gateway.sessionUrl('s1'), { token, protocols: [protocol] })
      const notice = await client.find({ type: 'control', command: 'auth_expiring' })
      const leftMs = exp * 1000 - Date.now()
      assert.equal(notice.expires_at, new Date(exp * 1000).toISOString())
      assert.ok(Number(notice.in_ms) <= NOTICE_MS && leftMs > 0, `${notice.in_ms} ms, ${leftMs} ms left`)
      await assertClosed(client.closed, exp)
      const notices = client.values.filter(({ command }) => command === 'auth_expiring')
      assert.equal(notices.length, 1)
    })

  it('gets a notice on the run door too, and is closed after its hangup', async () => {
    const exp = expiry()
    const client = await connect(`${gateway.url}/run-x`, { token: tokenOf(signer, { run_id: 'run-x', exp }) })
    const notice = await client.find({ type: 'auth_expiring' })
    assert.equal(notice.expires_at, new Date(exp * 1000).toISOString())
    assert.ok(Number(notice.in_ms) <= NOTICE_MS && exp * 1000 > Date.now(), String(notice.in_ms))
    await assertClosed(client.closed, exp)
    assert.deepEqual(client.values.at(-1), { type: 'hangup' })
  })

  it('gets the notice at once where less time is left, and is closed although messages pass', async () => {
    const exp = Math.floor(Date.now() / 1000) + 1
    const client = await connect(gateway.sessionUrl('s2'), { token: tokenOf(signer, { session_id: 's2', exp }) })
    const talking = setInterval(() => client.send('{"type":"ping"}'), 50)
    const notice = await client.find({ command: 'auth_expiring' })
    assert.ok(Number(notice.in_ms) < NOTICE_MS, String(notice.in_ms))
    await assertClosed(client.closed, exp)
    clearInterval(talking)
  })

  it('gets a notice on the live door too, and is closed after its goodbye', async () => {
    const exp = expiry()
    const client = await connect(`${gateway.url}/live`, { token: tokenOf(signer, { topics: '*', exp }) })
    assert.equal((await client.find({ type: 'auth_expiring' })).expires_at, new Date(exp * 1000).toISOString())
    await assertClosed(client.closed, exp)
    assert.equal(client.values.at(-1)!.type, 'disconnect_notice')
  })

  for (const [path, goodbye] of [
    ['/agent-1/sse/s9', 'goodbye'],
    ['/live/sse', 'disconnect_notice'],
  ] as const)
    it(`gets a notice and its end as server-sent events of ${path}`, async () => {
      const exp = expiry()
      const token = tokenOf(signer, { session_id: 's9', topics: '*', exp })
      const client = await openStream(gateway.http + path, { Authorization: `Bearer ${token}` })
      const notice = await client.first('auth_expiring')
      assert.equal(notice.expires_at, new Date(exp * 1000).toISOString())
      assert.ok(exp * 1000 > Date.now(), 'before exp')
      assert.equal((await client.first(goodbye)).reason, 'expired')
      await client.ended()
      const lateMs = Date.now() - (exp * 1000 + SKEW_MS)
      assert.ok(lateMs >= 0 && lateMs <= LATE_MS, `the end came ${lateMs} ms after exp and the skew`)
    })

  it('is one of many that expire at one moment: each gets a notice and its close in time', async () => {
    const exp = Math.floor(Date.now() / 1000) + 5
    const ids = Array.from({ length: 60 }, (_, i) => `crowd-${i}`)
    const enter = (id: string) =>
      connect(gateway.sessionUrl(id), { token: tokenOf(signer, { session_id: id, exp }), protocols: ['wsproxy.v1'] })
    const clients = await Promise.all(ids.map(enter))
    await Promise.all(clients.map(({ closed }) => assertClosed(closed, exp)))
    for (const client of clients)
      assert.equal(client.values.filter(({ command }) => command === 'auth_expiring').length, 1)
  })

  it('stays open without exp, or with a far one', async () => {
    const [open, far] = await Promise.all([
      connect(gateway.sessionUrl('s3'), { token: tokenOf(signer, { session_id: 's3' }) }),
      connect(gateway.sessionUrl('s3'), { token: tokenOf(signer, { session_id: 's3', exp: 1e15 }) }),
    ])
    const exp = Math.floor(Date.now() / 1000) + 1
    const short = await connect(gateway.sessionUrl('s3'), { token: tokenOf(signer, { session_id: 's3', exp }) })
    await assertClosed(short.closed, exp)
    assert.deepEqual([open.code, far.code], [undefined, undefined])
    assert.deepEqual([open.frames, far.frames], [[], []])
    await Promise.all([open.close(), far.close()])
  })
})
