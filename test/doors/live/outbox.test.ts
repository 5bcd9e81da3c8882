import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { revokedSet } from '../../../src/contract/names.ts'
import type { TestClient } from '../../support/client.ts'
import { gatewayFor, type TestGateway } from '../../support/gateway.ts'
import { live, untilHeard } from '../../support/live.ts'
import { realRedisFor, withoutRealRedis } from '../../support/redis.ts'
import { scopeOf } from '../../support/scope.ts'
import { secretSigner, tokenOf } from '../../support/tokens.ts'
import { eventually } from '../../support/wait.ts'

const SECRET = randomBytes(24).toString('hex')
const ADMIN_TOKEN = 'an-admin-token-of-a-test'
const ENV = {
  AUTH_JWT_SECRET: SECRET,
  ADMIN_TOKEN,
  WS_AUTH_REQUIRED: 'true',
  LIVE_REFUSE: 'http',
  LIVE_TOPICS: 'notes.*,other',
  LIVE_RATE: '0',
  OUTBOX_TOPICS: 'tasks,notes.*',
}

type Fields = Record<string, unknown>

const envelopeOf = (fields: Fields = {}) => ({
  correlation_id: randomUUID(),
  ts: Date.now(),
  op: 'update',
  domain: 'tasks',
  id: 't1',
  data: { title: 'write' },
  ...fields,
})

describe('the outbox of live clients', () => {
  const suite = scopeOf(after)
  const signer = secretSigner(SECRET)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite, { env: ENV })
  })

  const tokenFor = (claims: Fields = {}) =>
    tokenOf(signer, { sub: 'ann', topics: '*', publish_topics: ['tasks', 'notes.*'], ...claims })
  const enter = (claims: Fields = {}, to: { readonly url: string } = gateway) =>
    live(to, '/live?subscriptions=tasks', { token: tokenFor(claims) })
  const answerTo = async (client: TestClient, topic: string, envelope: Fields) => {
    const before = client.values.length
    client.send({ type: 'publish', topic, envelope })
    const answer = () =>
      client.values
        .slice(before)
        .find(
          ({ type, correlation_id }) =>
            correlation_id === envelope.correlation_id && (type === 'published' || type === 'error'),
        )
    await eventually(answer, 'the answer')
    return answer()!
  }
  const messagesOf = ({ values }: TestClient, id: unknown) =>
    values.filter(({ type, correlation_id }) => type === 'envelope' && correlation_id === id)
  const post = (body: unknown, token = ADMIN_TOKEN, to: { readonly http: string } = gateway) =>
    fetch(`${to.http}/api/outbox`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })

  it('publishes an envelope to the sockets of its topic and to its stream, once', async () => {
    const [author, reader] = [await enter(), await enter({ sub: 'bob' })]
    const envelope = envelopeOf({ op: 'create', data: { title: 'read', n: 1.5 } })
    const id = envelope.correlation_id
    const first = await answerTo(author, 'tasks', envelope)
    assert.equal(first.type, 'published')
    assert.deepEqual([first.topic, first.duplicate], ['tasks', false])
    assert.ok(Math.abs(Date.parse(String(first.server_time)) - Date.now()) < 10_000)
    const again = await answerTo(author, 'tasks', { ...envelope, data: 'other' })
    assert.deepEqual([again.type, again.duplicate], ['published', true])
    await answerTo(author, 'tasks', envelopeOf())
    await eventually(() => messagesOf(reader, id).length > 0, 'the message')
    assert.deepEqual(
      messagesOf(reader, id).map(({ data }) => data),
      [envelope],
    )
    const kept = (await gateway.agent.xRange('{live:tasks}:outbox', '-', '+')) ?? []
    const mine = kept.filter(({ message }) => JSON.parse(message.envelope!).correlation_id === id)
    assert.deepEqual(
      mine.map(({ message }) => message.subject),
      ['ann'],
    )
    for (const client of [author, reader]) await client.close()
  })

  it('publishes data as the client wrote it, by a frame and over HTTP', async () => {
    const [author, reader] = [await enter(), await enter({ sub: 'bob' })]
    await untilHeard(gateway, 'live:tasks', 1)
    const texts = ['12345678901234567890', '1.0', '1e400', '{"a":1,"a":2.50,"\\u0062":[ 1e400 ]}', '"\\u00e4"', '-0']
    for (const text of texts) {
      for (const isFrame of [true, false]) {
        const { data: _, ...rest } = envelopeOf()
        const fields = JSON.stringify(rest).slice(0, -1)
        const request = `"topic":"tasks","envelope":${fields},"data":"former","d\\u0061ta": ${text} }`
        if (isFrame) author.send(`{"type":"publish",${request}}`)
        else assert.equal((await post(`[{${request}}]`)).status, 200)
        const expected = `"data":${fields},"data":${text}}`
        const came = () => reader.frames.some((frame) => String(frame).includes(expected))
        await eventually(came, `the message with ${text}`)
        const kept = (await gateway.agent.xRange('{live:tasks}:outbox', '-', '+')) ?? []
        assert.equal(kept.at(-1)!.message.envelope, `${fields},"data":${text}}`)
      }
    }
    for (const client of [author, reader]) await client.close()
  })

  it('publishes a delete without data', async () => {
    const [author, reader] = [await enter(), await enter({ sub: 'bob' })]
    const { data: _, ...envelope } = envelopeOf({ op: 'delete' })
    assert.equal((await answerTo(author, 'tasks', envelope)).type, 'published')
    await eventually(() => messagesOf(reader, envelope.correlation_id).length > 0, 'the message')
    assert.deepEqual(messagesOf(reader, envelope.correlation_id)[0]!.data, envelope)
    for (const client of [author, reader]) await client.close()
  })

  it('keeps the envelopes of two subjects apart, and those of two topics', async () => {
    const [ann, bob] = [await enter(), await enter({ sub: 'bob' })]
    const envelope = envelopeOf()
    for (const [client, topic] of [
      [ann, 'tasks'],
      [bob, 'tasks'],
      [ann, 'notes.one'],
    ] as const)
      assert.equal((await answerTo(client, topic, envelope)).duplicate, false)
    for (const client of [ann, bob]) await client.close()
  })

  it('publishes each of many envelopes once, that two clients send to two instances at once', async (t) => {
    const second = await gatewayFor(t, { redis: gateway.redis, env: ENV })
    const reader = await enter({ sub: 'reader' })
    await untilHeard(gateway, 'live:tasks', 1)
    const envelopes = Array.from({ length: 100 }, () => envelopeOf())
    const [one, two] = [await enter({ topics: 'other' }), await enter({ topics: 'other' }, second)]
    for (const envelope of envelopes)
      for (const client of [one, two]) client.send({ type: 'publish', topic: 'tasks', envelope })
    const results = () => [...one.values, ...two.values].filter(({ type }) => type === 'published')
    await eventually(() => results().length === 200, 'all answers')
    assert.equal(results().filter(({ duplicate }) => duplicate === false).length, 100)
    const ids = envelopes.map(({ correlation_id }) => correlation_id)
    await eventually(() => ids.every((id) => messagesOf(reader, id).length > 0), 'all messages')
    assert.ok(ids.every((id) => messagesOf(reader, id).length === 1))
    for (const client of [reader, one, two]) await client.close()
  })

  it('refuses what the author may not publish, and what is no envelope', async () => {
    const ann = await enter()
    const code = async (topic: string, fields: Fields, client = ann) =>
      (await answerTo(client, topic, envelopeOf(fields))).code
    assert.equal(await code('other', {}), 'unknown-topic')
    assert.equal(await code('a b', {}), 'unknown-topic')
    assert.equal(await code('tasks', { ts: Date.now() + 600_000 }), 'clock-ahead')
    assert.equal(await code('tasks', { ts: -1 }), 'protocol-violation')
    assert.equal(await code('tasks', { op: 'merge' }), 'protocol-violation')
    assert.equal(await code('tasks', { id: '' }), 'protocol-violation')
    assert.equal(await code('tasks', { correlation_id: 'not-a-uuid' }), 'protocol-violation')
    assert.equal(await code('tasks', { correlation_id: randomUUID().toUpperCase() }), 'protocol-violation')
    const deep = JSON.parse(`${'['.repeat(40)}${']'.repeat(40)}`)
    assert.equal(await code('tasks', { data: deep }), 'protocol-violation')
    for (const claims of [
      { publish_topics: 'notes.*' },
      { publish_topics: undefined },
      { sub: undefined },
      { up: false },
    ]) {
      const client = await enter(claims)
      assert.equal(await code('tasks', {}, client), 'forbidden', JSON.stringify(claims))
      await client.close()
    }
    await ann.close()
  })

  it('takes lists over HTTP from operators and bearers of a JWT, and answers for each envelope', async () => {
    const envelope = envelopeOf()
    const list = [
      { topic: 'tasks', envelope },
      { topic: 'tasks', envelope },
      { topic: 'other', envelope: envelopeOf() },
      { topic: 'tasks', envelope: { ...envelopeOf(), ts: 'now' } },
      7,
    ]
    for (const token of [ADMIN_TOKEN, tokenFor()]) {
      const answer = await post(list, token)
      assert.equal(answer.status, 200)
      const { results, server_time } = (await answer.json()) as { results: Fields[]; server_time: string }
      assert.ok(Date.parse(server_time) > 0)
      assert.deepEqual(
        results.map(({ type, duplicate, code }) => code ?? [type, duplicate]),
        [['published', false], ['published', true], 'unknown-topic', 'protocol-violation', 'protocol-violation'],
      )
      assert.equal(results[0]!.correlation_id, envelope.correlation_id)
    }
  })

  it('refuses requests without rights, that are no list, too long or too large', async () => {
    const status = async (...args: Parameters<typeof post>) => (await post(...args)).status
    assert.equal((await fetch(`${gateway.http}/api/outbox`, { method: 'POST', body: '[]' })).status, 401)
    assert.equal(await status([], 'a-wrong-token-of-someone'), 403)
    assert.equal(await status([], tokenFor({ exp: 1 })), 401)
    const revoked = `${Date.now()} ${Date.now() + 86_400_000} jti:bad`
    await gateway.agent.zAdd(revokedSet(), { score: Date.now(), value: revoked })
    assert.equal(await status([], tokenFor({ jti: 'good' })), 200)
    await eventually(async () => (await status([], tokenFor({ jti: 'bad' }))) === 403, 'the revocation to be read')
    assert.equal(await status([], `${tokenFor().slice(0, -4)}AAAA`), 403)
    for (const body of ['{}', '7', 'nonsense', Array(101).fill({})]) assert.equal(await status(body), 400)
    assert.equal(await status(`["${'x'.repeat(300_000)}"]`), 413)
    assert.equal(await status([]), 200)
    assert.equal((await fetch(`${gateway.http}/api/outbox`)).status, 405)
  })

  it('takes lists from pages of allowed origins, and counts no cookie', async (t) => {
    const env = { ...ENV, WS_ALLOWED_ORIGINS: 'https://app.example' }
    const { http } = await gatewayFor(t, { redis: gateway.redis, env })
    const call = (method: string, origin: string, headers = {}) =>
      fetch(`${http}/api/outbox`, {
        method,
        headers: { origin, 'content-type': 'application/json', ...headers },
        ...(method === 'POST' && { body: '[]' }),
      })
    const bearer = { authorization: `Bearer ${tokenFor()}` }
    const asked = await call('OPTIONS', 'https://app.example')
    assert.equal(asked.status, 204)
    assert.match(asked.headers.get('access-control-allow-headers') ?? '', /Authorization/)
    const sent = await call('POST', 'https://app.example', bearer)
    assert.equal(sent.status, 200)
    assert.equal(sent.headers.get('access-control-allow-origin'), 'https://app.example')
    assert.equal((await call('POST', 'https://evil.example', bearer)).status, 403)
    const signIn = {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token: ADMIN_TOKEN }),
    }
    const signedIn = await fetch(`${http}/admin/sign-in`, signIn)
    const cookie = signedIn.headers.get('set-cookie')?.split(';')[0] ?? ''
    assert.match(cookie, /^wsproxy_admin=/)
    assert.equal((await call('POST', 'https://app.example', { cookie })).status, 401)
  })

  it('limits a subject by the rate of the door, and by the day', async (t) => {
    const env = { ...ENV, LIVE_RATE: '1', LIVE_RATE_BURST: '1', OUTBOX_MAX_PER_DAY: '150' }
    const { http } = await gatewayFor(t, { redis: gateway.redis, env })
    const codes = async (sub: string) => {
      const list = Array.from({ length: 100 }, () => ({ topic: 'notes.day', envelope: envelopeOf() }))
      const answer = await post(list, tokenFor({ sub }), { http })
      const { results } = (await answer.json()) as { results: Fields[] }
      return results.filter(({ code }) => code === 'rate-limited').length
    }
    assert.equal(await codes('cat'), 0)
    assert.ok((await codes('cat')) > 90)
    assert.equal(await codes('dog'), 0)
    const other = await gatewayFor(t, { redis: gateway.redis, env })
    const list = Array.from({ length: 100 }, () => ({ topic: 'notes.day', envelope: envelopeOf() }))
    const answer = await post(list, tokenFor({ sub: 'dog' }), other)
    const { results } = (await answer.json()) as { results: Fields[] }
    assert.equal(results.filter(({ message }) => /OUTBOX_MAX_PER_DAY/.test(String(message))).length, 50)
  })

  it('does nothing where it is off, and serves no endpoint', async (t) => {
    const off = await gatewayFor(t, { redis: gateway.redis, env: { ...ENV, OUTBOX_TOPICS: '' } })
    const client = await enter({}, off)
    const answer = await answerTo(client, 'tasks', envelopeOf())
    assert.equal(answer.code, 'forbidden')
    assert.match(String(answer.message), /OUTBOX_TOPICS/)
    assert.equal((await post([], ADMIN_TOKEN, off)).status, 404)
    await client.close()
  })

  it('names the setting where sockets bring no token', async (t) => {
    const open = await gatewayFor(t, { redis: gateway.redis, env: { ...ENV, WS_AUTH_REQUIRED: 'false' } })
    assert.ok(open.log.some(({ event }) => event === 'outbox-http-only'))
    assert.ok(!gateway.log.some(({ event }) => event === 'outbox-http-only'))
    const client = await enter({}, open)
    const answer = await answerTo(client, 'tasks', envelopeOf())
    assert.equal(answer.code, 'forbidden')
    assert.match(String(answer.message), /WS_AUTH_REQUIRED=true/)
    await client.close()
  })

  it('counts how envelopes end', async () => {
    const page = await (await fetch(`${gateway.http}/metrics`)).text()
    for (const result of ['published', 'duplicate', 'refused', 'failed'])
      assert.match(page, new RegExp(`^wsproxy_live_outbox_total\\{result="${result}"\\} \\d`, 'm'))
    assert.ok((await gateway.metric('wsproxy_live_outbox_total', { result: 'published' })) > 10)
  })
})

describe('the outbox and a Redis that fails', { skip: withoutRealRedis }, () => {
  const suite = scopeOf(after)
  const token = tokenOf(secretSigner(SECRET), { sub: 'ann', topics: '*', publish_topics: '*' })

  it('answers redis-unavailable, and publishes once when the envelope comes again', async () => {
    const redis = await realRedisFor(suite, ['--appendonly', 'yes', '--appendfsync', 'always'])
    const gateway = await gatewayFor(suite, { redis, env: ENV })
    const client = await live(gateway, '/live?subscriptions=tasks', { token })
    const envelope = envelopeOf()
    const send = () => client.send({ type: 'publish', topic: 'tasks', envelope })
    await redis.kill()
    send()
    await client.find({ type: 'error', code: 'redis-unavailable', correlation_id: envelope.correlation_id })
    await redis.restart()
    await eventually(() => gateway.gateway.redisReady, 'Redis to be back')
    for (let i = 0; i < 3; i++) send()
    await client.find({ type: 'published', duplicate: true })
    // It comes from another connection to Redis than the answers.
    await client.find({ type: 'envelope' })
    assert.equal(client.values.filter(({ duplicate }) => duplicate === false).length, 1)
    assert.equal(client.values.filter(({ type }) => type === 'envelope').length, 1)
    await client.close()
  })

  it('takes an envelope back that Redis does not let it publish', async () => {
    const redis = await realRedisFor(suite)
    const admin = await redis.client()
    const rules = ['on', '>secret', '~*', '&*', '+@all', '-publish']
    await admin.sendCommand(['ACL', 'SETUSER', 'mute', ...rules])
    const url = redis.url.replace('//', '//mute:secret@')
    const gateway = await gatewayFor(suite, { redis: { ...redis, url, client: () => redis.client() }, env: ENV })
    const client = await live(gateway, '/live?subscriptions=tasks', { token })
    const envelope = envelopeOf()
    client.send({ type: 'publish', topic: 'tasks', envelope })
    await client.find({ type: 'error', code: 'redis-unavailable' })
    assert.equal(await admin.xLen('{live:tasks}:outbox'), 0)
    await admin.sendCommand(['ACL', 'SETUSER', 'mute', '+publish'])
    client.send({ type: 'publish', topic: 'tasks', envelope })
    await client.find({ type: 'published', duplicate: false })
    await client.close()
  })
})
