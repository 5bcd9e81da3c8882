import assert from 'node:assert/strict'
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { connect, refused, type TestClient } from '../support/client.ts'
import { temporaryFolder } from '../support/folder.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { type KeyServer, keyServerFor, keySetText } from '../support/key-server.ts'
import { redisFor, type TestRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { newSigners, type Signer, tokenOf } from '../support/tokens.ts'
import { eventually, within } from '../support/wait.ts'

const GRACE_MS = 1500
/** The sweep runs late on a busy machine. */
const LATE_MS = 1500
const CLOSED = { code: 4401, reason: 'key-removed' }

describe('a key of JWTs that is removed', () => {
  const suite = scopeOf(after)
  // One ES256 and one EdDSA.
  const [lost, kept] = newSigners().slice(2) as [Signer, Signer]
  let redis: TestRedis
  before(async () => {
    redis = await redisFor(suite)
  })

  const settings = { AUTH_REMOVED_KEY_GRACE: `${GRACE_MS}ms`, AUTH_JWT_AUDIENCE: 'chat', RUN_AUTH: 'bearer' }
  const tokenFor = (signer: Signer, claims: object = {}) =>
    tokenOf(signer, { aud: 'chat', session_id: 'm1', run_id: 'run-m', topics: '*', ...claims })
  const enter = ({ sessionUrl }: TestGateway, token: string, protocol = 'wsproxy.v1') =>
    connect(sessionUrl('m1'), { token, protocols: [protocol] })

  async function start(): Promise<{ gateway: TestGateway; server: KeyServer }> {
    const server = await keyServerFor(suite)
    server.publish([lost, kept])
    const env = { ...settings, AUTH_JWKS_URL: server.url, AUTH_JWKS_COOLDOWN: '1s', WS_AUTH_REQUIRED: 'true' }
    return { server, gateway: await gatewayFor(suite, { redis, env }) }
  }

  /** Publishes the other key only, and has the gateway fetch it. */
  async function remove({ gateway, server }: Awaited<ReturnType<typeof start>>): Promise<void> {
    server.publish([kept])
    const stranger = tokenOf(newSigners()[2]!, {}, { alg: 'ES256', kid: 'unknown' })
    const asked = server.asked()
    const fetched = async () => {
      await refused(gateway.sessionUrl('m1'), { token: stranger })
      return server.asked() > asked
    }
    await eventually(fetched, 'the fetch', 10_000)
  }

  async function assertClosed(client: TestClient, removedAt: number): Promise<void> {
    assert.deepEqual(await within(client.closed, 'the close'), CLOSED)
    const ms = Date.now() - removedAt
    assert.ok(ms >= GRACE_MS - 50 && ms <= GRACE_MS + LATE_MS, `${ms} ms`)
  }

  it('closes the sockets of a key that has left the URL, at every door, after a notice', async () => {
    const started = await start()
    const { gateway } = started
    const token = tokenFor(lost)
    const session = await enter(gateway, token)
    const numbered = await enter(gateway, tokenFor(lost, { exp: Math.floor(Date.now() / 1000) + 3600 }), 'wsproxy.v2')
    const run = await connect(`${gateway.url}/run-m`, { token })
    const live = await connect(`${gateway.url}/live`, { token })
    const others = [await enter(gateway, tokenFor(kept)), await gateway.join('m2')]
    await remove(started)
    const removedAt = Date.now()
    const notices = [session, numbered].map((client) => client.find({ command: 'auth_expiring' }))
    for (const { in_ms } of [...(await Promise.all(notices)), await live.find({ type: 'auth_expiring' })])
      assert.ok(Number(in_ms) <= GRACE_MS, String(in_ms))
    await Promise.all([session, numbered, run, live].map((client) => assertClosed(client, removedAt)))
    assert.equal(live.values.at(-1)!.reason, 'key-removed')
    assert.equal((await refused(gateway.sessionUrl('m1'), { token })).code, 'token-rejected')
    assert.deepEqual(
      others.map(({ code }) => code),
      [undefined, undefined],
    )
    for (const client of others) await client.close()
  })

  it('leaves the sockets that bring a JWT of another key in time', async () => {
    const started = await start()
    const client = await enter(started.gateway, tokenFor(lost))
    await remove(started)
    await client.find({ command: 'auth_expiring' })
    client.send({ type: 'control', command: 'auth', token: tokenFor(lost, { jti: 'again' }) })
    await client.find({ code: 'auth-rejected' })
    client.send({ type: 'control', command: 'auth', token: tokenFor(kept) })
    await client.find({ command: 'auth_ok' })
    const until = Date.now() + GRACE_MS + 600
    await eventually(() => Date.now() > until, 'the grace to pass', 10_000)
    assert.equal(client.code, undefined)
    await client.close()
  })

  it('refuses the resume tickets that go back to it', async () => {
    const started = await start()
    const { gateway } = started
    const tickets: string[] = []
    for (const signer of [lost, kept]) {
      const client = await enter(gateway, tokenFor(signer), 'wsproxy.v2')
      const given = await eventually(() => client.values.find(({ ticket }) => ticket !== undefined), 'a ticket')
      tickets.push(String(given.ticket))
      await client.close()
    }
    for (const ticket of tickets) await (await enter(gateway, ticket, 'wsproxy.v2')).close()
    await remove(started)
    const [ofLost, ofKept] = tickets
    const late = await enter(gateway, ofLost!, 'wsproxy.v2')
    assert.deepEqual(await within(late.closed, 'the refusal'), { code: 4401, reason: 'token-rejected' })
    await (await enter(gateway, ofKept!, 'wsproxy.v2')).close()
  })

  it('refuses the calls of HTTP by tickets that go back to it', async () => {
    const started = await start()
    const { http } = started.gateway
    const call = async (method: string, path: string, credential: string) => {
      const headers = { Authorization: `Bearer ${credential}`, 'Content-Type': 'application/json' }
      const answer = await fetch(`${http}${path}`, { method, headers, ...(method === 'POST' && { body: '{}' }) })
      return { status: answer.status, text: await answer.text(), cookie: answer.headers.get('Set-Cookie') ?? '' }
    }
    const sseTicketOf = async (signer: Signer) => {
      const { cookie } = await call('POST', '/agent-1/ticket/m1', tokenFor(signer))
      return /wst1_[^;]+/.exec(cookie)![0]
    }
    const resumeTicketOf = async (signer: Signer) => {
      const client = await enter(started.gateway, tokenFor(signer), 'wsproxy.v2')
      const given = await eventually(() => client.values.find(({ ticket }) => ticket !== undefined), 'a ticket')
      await client.close()
      return String(given.ticket)
    }
    const calls = async (signer: Signer) => {
      const [sse, resume] = [await sseTicketOf(signer), await resumeTicketOf(signer)]
      return async () => [
        (await call('POST', '/agent-1/sse/m1', sse)).status,
        (await call('POST', '/agent-1/ticket/m1', resume)).status,
        (await call('HEAD', '/agent-1/stream/m1', sse)).status,
      ]
    }
    const [ofLost, ofKept] = [await calls(lost), await calls(kept)]
    // The session has no log, so it is no stream.
    const allowed = [202, 200, 404]
    assert.deepEqual(await ofLost(), allowed)
    await remove(started)
    assert.deepEqual(await ofLost(), [403, 403, 403])
    assert.deepEqual(await ofKept(), allowed)
  })

  it('of a file closes its sockets, too', async () => {
    const file = join(temporaryFolder(suite).TMPDIR, 'jwks.json')
    const write = (...signers: Signer[]) => {
      writeFileSync(`${file}.new`, keySetText(signers))
      renameSync(`${file}.new`, file)
    }
    write(lost, kept)
    const gateway = await gatewayFor(suite, { redis, env: { ...settings, AUTH_JWKS_FILE: file } })
    const [client, other] = [await enter(gateway, tokenFor(lost)), await enter(gateway, tokenFor(kept))]
    write(kept)
    await eventually(() => client.values.some(({ command }) => command === 'auth_expiring'), 'the notice', 15_000)
    assert.deepEqual(await within(client.closed, 'the close'), CLOSED)
    assert.equal(other.code, undefined)
    await other.close()
  })

  it('keeps the sockets while the URL is away, and a renewal waits for the fetch of its key', async () => {
    const { gateway, server } = await start()
    const next = newSigners()[2]!
    const jwk = JSON.stringify({ ...JSON.parse(String(next.exposed[1])), kid: 'next' })
    const signer: Signer = { ...next, id: 'next', exposed: [next.exposed[0]!, Buffer.from(jwk)] }
    const client = await enter(gateway, tokenFor(lost))
    server.answer = (_, response) => void response.writeHead(500).end()
    client.send({ type: 'control', command: 'auth', token: tokenFor(signer) })
    await client.find({ code: 'auth-rejected' })
    server.answer = (_, response) => void setTimeout(() => response.end(keySetText([lost, signer])), 300)
    const renewed = async () => {
      const before = client.values.length
      for (let i = 0; i < 2; i++) client.send({ type: 'control', command: 'auth', token: tokenFor(signer) })
      await eventually(() => client.values.length >= before + 2, 'both answers')
      return client.values.slice(before).some(({ command }) => command === 'auth_ok')
    }
    await eventually(renewed, 'the renewal', 15_000)
    assert.ok(!client.values.some(({ command }) => command === 'auth_expiring'))
    await client.close()
  })
})
