import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sessionAuth, sessionDown, ticketSecrets } from '../../../src/contract/names.ts'
import { gatewayFor, type TestGateway } from '../../support/gateway.ts'
import { epochOf, say } from '../../support/numbered.ts'
import { scopeOf } from '../../support/scope.ts'
import { openStream, type StreamClient } from '../../support/sse.ts'
import { secretSigner, tokenOf } from '../../support/tokens.ts'
import { eventually } from '../../support/wait.ts'

const SECRET = '0123456789abcdef0123456789abcdef'
const signer = secretSigner(SECRET)
const seconds = (): number => Math.floor(Date.now() / 1000)

// biome-ignore lint/suspicious/noExplicitAny: a test reads JSON that it knows
const bodyOf = (answer: Response): Promise<any> => answer.json()
const codeOf = async (answer: Response): Promise<unknown> => [answer.status, (await bodyOf(answer)).error.code]

/** The default of MAX_MESSAGE_SIZE for sessions. */
const LIMIT = { max_inbound_message_bytes: 1024 * 1024 }

describe('a stream of a session', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite, { env: { AUTH_TOKEN_MODE: 'reusable', AUTH_JWT_SECRET: SECRET } })
  })
  const pathOf = (session: string) => `${gateway.http}/agent-1/sse/${session}`
  const bearer = async (session: string) => {
    await gateway.agent.set(sessionAuth(session), 'token')
    return { Authorization: 'Bearer token' }
  }
  const open = async (session: string, query = '', headers: Record<string, string> = {}): Promise<StreamClient> =>
    openStream(pathOf(session) + query, { ...(await bearer(session)), ...headers })
  const word = (n: number) => `{"type":"token","text":"w${n}"}`
  const write = async (session: string, from: number, to: number) => {
    for (let n = from; n <= to; n++) await say(gateway.agent, session, word(n))
  }

  it('begins with its position, which carries the cursor and a pause, and goes on with every message', async () => {
    await write('first', 1, 3)
    const client = await open('first')
    const epoch = await epochOf(gateway.agent, 'first')
    const position = await client.first('position')
    assert.deepEqual(position, { grade: 'exact', epoch, offset: 3, replay: 0, oldest: 1, ...LIMIT })
    assert.equal(client.events[0]!.event, 'position')
    assert.equal(client.events[0]!.id, `${epoch}.3`)
    assert.ok(client.retryMs! >= 1000 && client.retryMs! <= 2000)
    await write('first', 4, 5)
    assert.deepEqual(await client.take(2), [word(4), word(5)])
    assert.equal(client.id, `${epoch}.5`)
    const { headers } = client.response
    assert.equal(headers['content-type'], 'text/event-stream')
    assert.equal(headers['cache-control'], 'no-cache, no-transform')
    assert.equal(headers['x-accel-buffering'], 'no')
    assert.equal(headers['x-content-type-options'], 'nosniff')
    client.close()
  })

  it('resumes from Last-Event-ID, which counts more than the cursor of the query, without a seam', async () => {
    await write('resume', 1, 40)
    const epoch = await epochOf(gateway.agent, 'resume')
    const writing = write('resume', 41, 200)
    const client = await open('resume', `?cursor=${epoch}.1`, { 'Last-Event-ID': `${epoch}.20` })
    await writing
    const got = await client.take(180)
    assert.deepEqual(
      got,
      Array.from({ length: 180 }, (_, i) => word(21 + i)),
    )
    const position = await client.first('position')
    assert.deepEqual([position.offset, position.recovered], [20, true])
    client.close()
    const byQuery = await open('resume', `?cursor=${epoch}.198`)
    assert.deepEqual(await byQuery.take(2), [word(199), word(200)])
    byQuery.close()
  })

  it('says in a gap what its log has lost, and goes on behind it', async () => {
    const limits = { entries: 10 }
    for (let n = 1; n <= 30; n++) await say(gateway.agent, 'trimmed', word(n), '', limits)
    const epoch = await epochOf(gateway.agent, 'trimmed')
    const client = await open('trimmed', '?else=oldest', { 'Last-Event-ID': `${epoch}.2` })
    const gap = await client.first('gap')
    assert.equal(gap.from, 3)
    assert.equal(gap.reason, 'trimmed')
    assert.equal(client.of('gap')[0]!.id, `${epoch}.${gap.to}`)
    assert.equal((await client.take(1))[0], word(Number(gap.to) + 1))
    client.close()
  })

  it('passes the messages of a session without a log, which have no id', async () => {
    const client = await open('plain')
    assert.deepEqual(await client.first('position'), { grade: 'none', ...LIMIT })
    await gateway.agent.publish(sessionDown('plain'), 'one\ntwo\r\nthree')
    await gateway.agent.publish(sessionDown('plain'), '{"n":1}')
    assert.deepEqual(await client.take(2), ['one\ntwo\nthree', '{"n":1}'])
    assert.equal(client.id, '')
    client.close()
  })

  it('passes bytes that are not UTF-8 in base64, as an event of their own', async () => {
    const client = await open('bytes')
    await client.first('position')
    const payload = Buffer.from([0xff, 0xfe, 0x0a, 0x00])
    await gateway.agent.publish(sessionDown('bytes'), payload)
    await eventually(() => client.of('binary').length === 1, 'the event')
    assert.equal(client.of('binary')[0]!.data, payload.toString('base64'))
    client.close()
  })

  it('answers 204 to a client that has all of a stream that has ended, and only to that one', async () => {
    await write('done', 1, 3)
    await say(gateway.agent, 'done', '{"type":"control","command":"stream_end"}', 'close')
    const epoch = await epochOf(gateway.agent, 'done')
    const over = await open('done', '', { 'Last-Event-ID': `${epoch}.4` })
    assert.equal(over.status, 204)
    const rest = await open('done', '', { 'Last-Event-ID': `${epoch}.2` })
    assert.equal((await rest.take(2))[0], word(3))
    rest.close()
    assert.equal(await gateway.metric('wsproxy_connections_total', { door: 'sse', result: 'ended' }), 1)
    await eventually(
      async () => (await gateway.metric('wsproxy_active_connections', { door: 'sse' })) === 0,
      'no stream',
    )
  })

  it('refuses as an upgrade does, and counts it', async () => {
    const cases: [string, Record<string, string>, number, string][] = [
      [pathOf('r1'), {}, 401, 'credentials-missing'],
      [pathOf('r1'), { Authorization: 'Basic x' }, 401, 'credentials-malformed'],
      [pathOf('r1'), { Authorization: 'Bearer wrong' }, 403, 'token-rejected'],
      [`${pathOf('r1')}?access_token=token`, {}, 401, 'credentials-malformed'],
      [`${pathOf('r1')}?ticket=token`, {}, 403, 'token-rejected'],
      [`${pathOf('r1')}?ticket=wst1_x.y`, {}, 403, 'token-rejected'],
      [`${pathOf('r1')}?cursor=x`, await bearer('r1'), 400, 'cursor-malformed'],
      [pathOf('r1'), { ...(await bearer('r1')), 'Last-Event-ID': 'x' }, 400, 'cursor-malformed'],
      [`${gateway.http}/api/sse/x`, await bearer('x'), 404, 'not-found'],
      [pathOf('a%2Ab'), {}, 400, 'malformed-id'],
    ]
    for (const [url, headers, status, code] of cases)
      assert.deepEqual(await codeOf(await fetch(url, { headers })), [status, code], url)
    assert.deepEqual(await codeOf(await fetch(pathOf('r1'), { method: 'PUT' })), [405, 'method-not-allowed'])
    assert.equal(await gateway.metric('wsproxy_connections_total', { door: 'sse', result: 'cursor-malformed' }), 2)
  })

  it('gets a comment while it is silent', async () => {
    const own = await gatewayFor(suite, {
      redis: gateway.redis,
      env: { AUTH_TOKEN_MODE: 'reusable', SSE_PING_INTERVAL: '100ms', PONG_TIMEOUT: '400ms', PING_INTERVAL: '100ms' },
    })
    const client = await openStream(`${own.http}/agent-1/sse/silent`, await bearer('silent'))
    await eventually(() => client.comments >= 6, 'comments')
    assert.equal(client.isEnded, false)
    client.close()
  })

  it('ends at its age with a goodbye that lets its client come back at once', async () => {
    const own = await gatewayFor(suite, {
      redis: gateway.redis,
      env: { AUTH_TOKEN_MODE: 'reusable', SSE_MAX_LIFETIME: '1s' },
    })
    const client = await openStream(`${own.http}/agent-1/sse/old`, await bearer('old'))
    assert.deepEqual(await client.first('goodbye'), { reason: 'lifetime', reconnect_after_ms: 0 })
    assert.equal(client.retryMs, 0)
    await client.ended()
    assert.equal(await own.metric('wsproxy_disconnections_total', { door: 'sse', code: '1001' }), 1)
  })

  it('ends when its JWT ends, and with a goodbye that says so', async () => {
    const claims = { session_id: 'jwt', exp: seconds() + 1 }
    const client = await openStream(pathOf('jwt'), { Authorization: `Bearer ${tokenOf(signer, claims)}` })
    assert.equal(client.status, 200)
    await client.first('position')
    client.close()
    const own = await gatewayFor(suite, { redis: gateway.redis, env: { AUTH_JWT_SECRET: SECRET, AUTH_JWT_SKEW: '0' } })
    const short = await openStream(`${own.http}/agent-1/sse/jwt`, {
      Authorization: `Bearer ${tokenOf(signer, { session_id: 'jwt', exp: seconds() + 2 })}`,
    })
    assert.equal((await short.first('goodbye')).reason, 'expired')
    await short.ended()
  })

  it('ends when an operator disconnects its session', async () => {
    const env = { AUTH_TOKEN_MODE: 'reusable', ADMIN_TOKEN: 'admin-token-of-the-tests' }
    const own = await gatewayFor(suite, { redis: gateway.redis, env })
    const client = await openStream(`${own.http}/agent-1/sse/taken`, await bearer('taken'))
    await client.first('position')
    const { closed } = await bodyOf(
      await fetch(`${own.http}/api/admin/disconnect`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${env.ADMIN_TOKEN}` },
        body: JSON.stringify({ session: 'taken' }),
      }),
    )
    assert.equal(closed, 1)
    assert.equal((await client.first('goodbye')).reason, 'forbidden')
    await client.ended()
  })

  it('drains with a goodbye', async () => {
    const own = await gatewayFor(suite, { redis: gateway.redis, env: { AUTH_TOKEN_MODE: 'reusable' } })
    const client = await openStream(`${own.http}/agent-1/sse/drain`, await bearer('drain'))
    await client.first('position')
    const stopped = own.gateway.stop()
    const goodbye = await client.first('goodbye')
    assert.equal(goodbye.reason, 'draining')
    assert.equal(client.retryMs, goodbye.reconnect_after_ms)
    await client.ended()
    await stopped
  })
})

describe('the ticket of a stream', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite, { env: { AUTH_JWT_SECRET: SECRET } })
  })
  const exchange = (session: string, token: string, agent = 'agent-1') =>
    fetch(`${gateway.http}/${agent}/ticket/${session}`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${token}` },
    })

  it('is what a token for one use is exchanged for, and opens the stream again and again', async () => {
    const token = await gateway.token('one')
    const direct = await fetch(`${gateway.http}/agent-1/sse/one`, { headers: { Authorization: `Bearer ${token}` } })
    assert.deepEqual(await codeOf(direct), [403, 'token-single-use'])
    const answer = await exchange('one', token)
    assert.equal(answer.status, 200)
    const { ticket, expires_in_ms: expiresInMs } = await bodyOf(answer)
    assert.equal(expiresInMs, 12 * 3600 * 1000)
    for (let i = 0; i < 3; i++) {
      const client = await openStream(`${gateway.http}/agent-1/sse/one?ticket=${ticket}`)
      assert.equal(client.status, 200)
      await client.first('ticket')
      client.close()
    }
    assert.deepEqual(await codeOf(await exchange('one', token)), [403, 'token-rejected'])
  })

  it('is kept in a cookie of the path of the stream, which also opens it', async () => {
    const answer = await exchange('kept', await gateway.token('kept'))
    const cookie = String(answer.headers.get('set-cookie'))
    assert.match(
      cookie,
      /^__Secure-wsproxy_stream=wst1_[^;]+; Path=\/agent-1\/sse\/kept; Max-Age=43200; Secure; HttpOnly; SameSite=Strict$/,
    )
    const [pair = ''] = cookie.split(';')
    const url = `${gateway.http}/agent-1/sse/kept`
    const client = await openStream(url, { Cookie: `other=1; ${pair}` })
    assert.equal(client.status, 200)
    assert.match(String(client.response.headers['set-cookie']), /^__Secure-wsproxy_stream=wst1_/)
    client.close()
    const { ticket } = await bodyOf(await exchange('kept', await gateway.token('kept')))
    const stale = await openStream(`${url}?ticket=${ticket}`, { Cookie: '__Secure-wsproxy_stream=wst1_stale.x' })
    assert.equal(stale.status, 200)
    stale.close()
  })

  it('of a query opens no socket, no other session and no other agent', async () => {
    const { ticket } = await bodyOf(await exchange('mine', await gateway.token('mine')))
    const open = (path: string) => fetch(`${gateway.http}${path}?ticket=${ticket}`)
    assert.deepEqual(await codeOf(await open('/agent-1/sse/other')), [403, 'token-rejected'])
    assert.deepEqual(await codeOf(await open('/agent-2/sse/mine')), [403, 'token-rejected'])
    assert.deepEqual(await codeOf(await exchange('mine', ticket)), [403, 'token-rejected'])
    const line = gateway.log.map((each) => JSON.stringify(each)).join('\n')
    assert.ok(!line.includes(ticket))
  })

  it('of a JWT ends with it', async () => {
    const exp = seconds() + 3600
    const token = tokenOf(signer, { session_id: 'jwt', exp })
    const { expires_in_ms: expiresInMs } = await bodyOf(await exchange('jwt', token))
    assert.ok(expiresInMs > 3_500_000 && expiresInMs <= 3_700_000, String(expiresInMs))
  })

  it('is not given without a right credential', async () => {
    const post = (headers: Record<string, string>, path = '/agent-1/ticket/x') =>
      fetch(gateway.http + path, { method: 'POST', headers })
    assert.deepEqual(await codeOf(await post({})), [401, 'credentials-missing'])
    assert.deepEqual(await codeOf(await post({ Authorization: 'Bearer wrong' })), [403, 'token-rejected'])
    assert.deepEqual(await codeOf(await post({}, '/agent-1/ticket/!')), [400, 'malformed-id'])
    const past = tokenOf(signer, { session_id: 'x', exp: seconds() - 600 })
    assert.deepEqual(await codeOf(await post({ Authorization: `Bearer ${past}` })), [401, 'token-expired'])
  })

  it('leaves the token for one use where it cannot be given', async () => {
    const { agent, redis } = gateway
    const off = await gatewayFor(suite, { redis, env: { RESUME_TICKET_TTL: '0' } })
    const unusable = await gatewayFor(suite, { env: { AUTH_JWT_SECRET: SECRET } })
    await unusable.agent.set(ticketSecrets(), 'no hash')
    for (const [at, client, refusal] of [
      [off, agent, [404, 'not-found']],
      [unusable, unusable.agent, [503, 'redis-unavailable']],
    ] as const) {
      const token = await at.token('x')
      const none = await fetch(`${at.http}/agent-1/ticket/x`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${token}` },
      })
      assert.deepEqual(await codeOf(none), refusal)
      await eventually(async () => (await client.get(sessionAuth('x'))) === token, 'the token')
    }
  })
})

describe('a page of another origin', () => {
  const suite = scopeOf(after)
  const GOOD = 'https://good.example'
  const started = (allowed: string) =>
    gatewayFor(suite, { env: { AUTH_TOKEN_MODE: 'reusable', ALLOWED_ORIGINS: allowed } })
  const ask = async ({ http }: TestGateway, origin: string, path: string, options: RequestInit = {}) => {
    const answer = await fetch(http + path, {
      ...options,
      headers: { Origin: origin, ...(options.headers as Record<string, string>) },
    })
    await answer.body?.cancel()
    return { status: answer.status, cors: answer.headers.get('access-control-allow-origin'), answer }
  }

  it('may read streams and tickets where ALLOWED_ORIGINS names it', async () => {
    const gateway = await started(GOOD)
    await gateway.agent.set(sessionAuth('s'), 'token')
    const headers = { Authorization: 'Bearer token' }
    for (const path of ['/agent-1/sse/s', '/agent-1/ticket/s']) {
      const before = await ask(gateway, GOOD, path, { method: 'OPTIONS' })
      assert.deepEqual([before.status, before.cors], [204, GOOD])
      assert.match(String(before.answer.headers.get('access-control-allow-headers')), /Authorization.*Last-Event-ID/)
      const method = path.includes('ticket') ? 'POST' : 'GET'
      const { status, cors, answer } = await ask(gateway, GOOD, path, { method, headers })
      assert.deepEqual([status, cors, answer.headers.get('access-control-allow-credentials')], [200, GOOD, 'true'])
      assert.equal((await ask(gateway, GOOD, path, { method })).cors, GOOD)
      const bad = await ask(gateway, 'https://bad.example', path, { method, headers })
      assert.deepEqual([bad.status, bad.cors], [403, null])
      assert.equal((await ask(gateway, 'https://bad.example', path, { method: 'OPTIONS' })).status, 403)
    }
  })

  it('may read them without cookies where any origin may', async () => {
    const gateway = await started('*')
    await gateway.agent.set(sessionAuth('s'), 'token')
    const { status, cors, answer } = await ask(gateway, GOOD, '/agent-1/sse/s', {
      headers: { Authorization: 'Bearer token' },
    })
    assert.deepEqual([status, cors, answer.headers.get('access-control-allow-credentials')], [200, '*', null])
  })
})
