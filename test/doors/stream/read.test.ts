import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sessionAuth, sessionDown, sessionLog, sessionMeta } from '../../../src/contract/names.ts'
import { gatewayFor, type TestGateway } from '../../support/gateway.ts'
import { epochOf, joinNumbered, say, ticketFrames } from '../../support/numbered.ts'
import { scopeOf } from '../../support/scope.ts'
import { eventsIn, type Read, readerOf } from '../../support/streams.ts'
import { eventually } from '../../support/wait.ts'

const ADMIN_TOKEN = 'an-admin-token-of-a-test'
const ENV = {
  AUTH_TOKEN_MODE: 'reusable',
  ADMIN_TOKEN,
  ALLOWED_ORIGINS: 'https://app.example.org',
  STREAM_POLL_TIMEOUT: '1s',
  CONNECT_RATE_PER_IP: '0',
  REFUSED_RATE_PER_IP: '0',
}
const digits = (n: number) => String(n).padStart(16, '0')

describe('a session as a stream', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  let get: Read
  before(async () => {
    gateway = await gatewayFor(suite, { env: ENV })
    get = readerOf(gateway, ADMIN_TOKEN)
  })

  /** A session whose agent has said these texts. Returns its epoch. */
  async function written(session: string, ...texts: string[]): Promise<string> {
    for (const text of texts) await say(gateway.agent, session, text)
    return epochOf(gateway.agent, session)
  }

  it('is read from its beginning, from an offset and from now', async () => {
    const epoch = await written('s1', '{"n":1}', '{"n":2.0}')
    const all = await get('s1')
    assert.equal(all.status, 200)
    assert.equal(all.body, '[{"n":1},{"n":2.0}]')
    assert.equal(all.headers.get('content-type'), 'application/json')
    assert.equal(all.headers.get('stream-next-offset'), epoch + digits(2))
    assert.equal(all.headers.get('stream-up-to-date'), 'true')
    assert.equal(all.headers.get('stream-closed'), null)
    assert.equal((await get('s1', `offset=${epoch}${digits(1)}`)).body, '[{"n":2.0}]')
    assert.equal((await get('s1', 'offset=now')).body, '[]')
    assert.equal((await get('s1', 'offset=-1')).body, all.body)
  })

  it('has an ETag that changes with a message and with the close', async () => {
    await written('tag', '1')
    const etag = (await get('tag')).headers.get('etag')!
    assert.equal((await get('tag', '', { headers: { 'if-none-match': `W/"x", ${etag}` } })).status, 304)
    await say(gateway.agent, 'tag', '2', 'close')
    const closed = await get('tag', '', { headers: { 'if-none-match': etag } })
    assert.deepEqual([closed.status, closed.headers.get('stream-closed')], [200, 'true'])
    assert.notEqual(closed.headers.get('etag'), etag)
  })

  it('makes JSON texts of payloads that are no JSON', async () => {
    await written('odd', 'plain "text"', '{"n":1}', ' 2 ')
    assert.deepEqual(JSON.parse((await get('odd')).body), ['plain "text"', { n: 1 }, 2])
  })

  it('answers HEAD without a body, and 404 where no log is', async () => {
    const epoch = await written('head', '1')
    const head = await get('head', '', { method: 'HEAD' })
    assert.deepEqual([head.status, head.body, head.headers.get('stream-next-offset')], [200, '', epoch + digits(1)])
    assert.equal(head.headers.get('cache-control'), 'no-store')
    for (const query of ['', 'offset=now', 'offset=-1&live=long-poll', 'offset=-1&live=sse']) {
      const { status, body } = await get('nothing', query)
      assert.deepEqual([status, JSON.parse(body).error.code], [404, 'not-found'], query)
    }
  })

  it('refuses what is no offset, and a live read without one', async () => {
    await written('bad', '1')
    for (const query of ['offset=', 'offset=0,1', 'offset=a&offset=b', 'offset=0 1', 'live=sse', 'live=x&offset=-1']) {
      const { status, body } = await get('bad', query)
      const { error } = JSON.parse(body)
      assert.deepEqual([status, error.code], [400, 'bad-request'], query)
      assert.match(error.message, error.field === 'live' ? /must be long-poll or sse/ : /-1, now, or/, query)
    }
  })

  it('answers 410 for an offset whose successor is gone, of another log, or ahead of the log', async () => {
    const epoch = await written('gone', '1', '2', '3', '4')
    await gateway.agent.xTrim(sessionLog('gone'), 'MAXLEN', 2)
    assert.equal((await get('gone', `offset=${epoch}${digits(1)}`)).status, 410)
    assert.equal((await get('gone', `offset=${epoch}${digits(2)}`)).body, '[3,4]')
    assert.equal((await get('gone')).body, '[3,4]')
    for (const offset of [`${epoch}${digits(5)}`, `000000000000${digits(1)}`]) {
      const { status, body } = await get('gone', `offset=${offset}`)
      assert.deepEqual([status, JSON.parse(body).error.code], [410, 'offset-gone'], offset)
    }
    await say(gateway.agent, 'gone', '"all of it"', 'snapshot')
    assert.equal((await get('gone', `offset=${epoch}${digits(1)}`)).body, '["all of it"]')
  })

  it('is read in parts of about 1 MiB', async () => {
    const text = JSON.stringify('x'.repeat(300_000))
    await written('large', ...Array<string>(10).fill(text))
    let offset = '-1'
    let count = 0
    for (let reads = 0; ; reads++) {
      const part = await get('large', `offset=${offset}`)
      assert.ok(part.body.length < 1_500_000)
      count += (JSON.parse(part.body) as unknown[]).length
      offset = part.headers.get('stream-next-offset')!
      if (part.headers.get('stream-up-to-date')) {
        assert.ok(reads >= 2)
        break
      }
    }
    assert.equal(count, 10)
  })

  describe('by long-poll', () => {
    it('waits at the tail for a message, and answers 204 when none comes', async () => {
      const epoch = await written('poll', '1')
      const waiting = get('poll', `offset=now&live=long-poll`)
      await eventually(async () => (await gateway.metric('wsproxy_redis_pubsub_channels_active')) > 1, 'the channel')
      await say(gateway.agent, 'poll', '2')
      const { status, body, headers } = await waiting
      assert.deepEqual([status, body, headers.get('stream-next-offset')], [200, '[2]', epoch + digits(2)])
      const cursor = headers.get('stream-cursor')!
      assert.match(cursor, /^\d+$/)
      const none = await get('poll', `offset=now&live=long-poll&cursor=${cursor}`)
      assert.deepEqual([none.status, none.headers.get('stream-up-to-date')], [204, 'true'])
      assert.ok(Number(none.headers.get('stream-cursor')) > Number(cursor))
      assert.equal((await get('poll', `offset=${epoch}${digits(1)}&live=long-poll`)).body, '[2]')
    })

    it('answers at once at the end of a closed stream', async () => {
      await say(gateway.agent, 'over', '1', 'close')
      const end = (await get('over')).headers.get('stream-next-offset')
      const { status, headers } = await get('over', `offset=${end}&live=long-poll`)
      assert.deepEqual([status, headers.get('stream-closed')], [204, 'true'])
    })

    it('leaves the channel and its place when it ends, and when the client goes', async () => {
      await written('left', '1')
      const quiet = async () => (await gateway.metric('wsproxy_redis_pubsub_channels_active')) === 1
      await eventually(quiet, 'no channel of a session')
      await get('left', 'offset=now&live=long-poll')
      await eventually(quiet, 'no channel of a session')
      const stop = new AbortController()
      const gone = get('left', 'offset=now&live=sse', { signal: stop.signal }).catch(() => {})
      await eventually(async () => !(await quiet()), 'the channel')
      stop.abort()
      await gone
      await eventually(quiet, 'no channel of a session')
    })
  })

  describe('as server-sent events', () => {
    it('sends what is there and what comes, each followed by its offset, until the close', async () => {
      const epoch = await written('sse', '{"n":1}', '{\n"n":2}')
      const { response, events } = await eventsIn(gateway, 'sse', 'offset=-1&live=sse', ADMIN_TOKEN)
      assert.deepEqual(
        ['content-type', 'cache-control', 'x-accel-buffering', 'content-length'].map((name) =>
          response.headers.get(name),
        ),
        ['text/event-stream', 'no-cache, no-transform', 'no', null],
      )
      await eventually(() => events.length === 2, 'the first events')
      assert.deepEqual(JSON.parse(events[0]!.data), [{ n: 1 }, { n: 2 }])
      const control = JSON.parse(events[1]!.data)
      assert.deepEqual([control.streamNextOffset, control.upToDate], [epoch + digits(2), true])
      await say(gateway.agent, 'sse', '3')
      await eventually(() => events.length === 4, 'the third message')
      await say(gateway.agent, 'sse', '4', 'close')
      await eventually(() => events.at(-1)?.event === 'end', 'the end')
      assert.deepEqual(
        events
          .slice(2)
          .map(({ event, data }) => [event, event === 'data' ? data : JSON.parse(data || '{}').streamClosed]),
        [
          ['data', '[3]'],
          ['control', undefined],
          ['data', '[4]'],
          ['control', true],
          ['end', undefined],
        ],
      )
    })

    it('ends, with nothing behind the last event, when its log cannot be read any more', async () => {
      await written('breaks', '1')
      const { events } = await eventsIn(gateway, 'breaks', 'offset=-1&live=sse', ADMIN_TOKEN)
      await eventually(() => events.length === 2, 'the first events')
      await gateway.agent.del(sessionLog('breaks'))
      await gateway.agent.set(sessionLog('breaks'), 'no log')
      await gateway.agent.publish(sessionDown('breaks'), '2')
      await eventually(() => events.length === 3, 'the end')
      assert.equal(events[2]?.event, 'end')
      assert.equal((await get('breaks')).status, 403)
    })

    it('misses and doubles nothing while its agent writes', async () => {
      await written('busy', '0')
      const { events } = await eventsIn(gateway, 'busy', 'offset=-1&live=sse', ADMIN_TOKEN)
      for (let n = 1; n <= 300; n++) await say(gateway.agent, 'busy', String(n), n === 300 ? 'close' : '')
      await eventually(() => events.at(-1)?.event === 'end', 'the end')
      const got = events.filter(({ event }) => event === 'data').flatMap(({ data }) => JSON.parse(data) as number[])
      assert.deepEqual(
        got,
        Array.from({ length: 301 }, (_, n) => n),
      )
    })
  })

  describe('opens for', () => {
    const plain = (session: string, headers: Record<string, string> = {}, query = '') =>
      fetch(`${gateway.http}/agent-1/stream/${session}${query}`, { headers })
    const codeOf = async (response: Response) => ((await response.json()) as { error: { code: string } }).error.code

    it('a reusable token of the session, as often as its client asks', async () => {
      await written('token', '1')
      await gateway.agent.set(sessionAuth('token'), 'secret-of-a-client')
      const headers = { authorization: 'Bearer secret-of-a-client' }
      for (let i = 0; i < 3; i++) assert.equal((await plain('token', headers)).status, 200)
      assert.equal(await codeOf(await plain('token', { authorization: 'Bearer other' })), 'token-rejected')
      assert.equal(await codeOf(await plain('token')), 'credentials-missing')
      assert.equal(await codeOf(await plain('token', {}, '?access_token=secret-of-a-client')), 'credentials-malformed')
    })

    it('a resume ticket of the session, and of no other', async () => {
      await written('ticket', '1')
      const client = await joinNumbered(gateway, 'ticket', 'cursor=-1')
      const { ticket } = await eventually(() => ticketFrames(client)[0], 'a ticket')
      const headers = { authorization: `Bearer ${ticket}` }
      assert.equal((await plain('ticket', headers)).status, 200)
      assert.equal((await plain('token', headers)).status, 403)
      assert.equal((await plain('ticket', {}, `?ticket=${ticket}`)).status, 403)
      await gateway.agent.set(sessionAuth('ticket'), 'secret-of-a-client')
      const bearer = { authorization: 'Bearer secret-of-a-client', 'content-type': 'application/json' }
      const exchange = await fetch(`${gateway.http}/agent-1/ticket/ticket`, { method: 'POST', headers: bearer })
      const exchanged = (await exchange.json()) as { ticket: string }
      assert.equal((await plain('ticket', {}, `?ticket=${exchanged.ticket}`)).status, 200)
    })

    it('a resume ticket until it is revoked, also while it waits for a message', async () => {
      await written('revoked', '1')
      const client = await joinNumbered(gateway, 'revoked', 'cursor=-1')
      const { ticket } = await eventually(() => ticketFrames(client)[0], 'a ticket')
      const { events } = await eventsIn(gateway, 'revoked', 'offset=-1&live=sse', ticket)
      await eventually(() => events.some(({ event }) => event === 'data'), 'the first message')
      const headers = { authorization: `Bearer ${ticket}` }
      const waiting = plain('revoked', headers, '?offset=now&live=long-poll')
      const admin = { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' }
      const body = '{"session":"revoked"}'
      await fetch(`${gateway.http}/api/admin/disconnect`, { method: 'POST', headers: admin, body })
      await eventually(async () => (await plain('revoked', headers)).status === 403, 'the revocation')
      await say(gateway.agent, 'revoked', '2')
      await eventually(() => events.at(-1)?.event === 'end', 'the end')
      assert.equal(events.filter(({ event }) => event === 'data').length, 1)
      assert.equal(await codeOf(await waiting), 'token-rejected')
    })

    it('no token that is used up by each check, and does not use it up', async (t) => {
      const strict = await gatewayFor(t, { redis: gateway.redis, env: { ...ENV, AUTH_TOKEN_MODE: 'single-use' } })
      await gateway.agent.set(sessionAuth('token'), 'secret-of-a-client')
      const response = await fetch(`${strict.http}/agent-1/stream/token`, {
        headers: { authorization: 'Bearer secret-of-a-client' },
      })
      assert.equal(await codeOf(response), 'token-single-use')
      assert.equal(await gateway.agent.get(sessionAuth('token')), 'secret-of-a-client')
    })

    it('pages of allowed origins', async () => {
      await written('cors', '1')
      const headers = { authorization: `Bearer ${ADMIN_TOKEN}` }
      const allowed = await plain('cors', { ...headers, origin: 'https://app.example.org' })
      assert.equal(allowed.headers.get('access-control-allow-origin'), 'https://app.example.org')
      assert.match(allowed.headers.get('access-control-expose-headers')!, /Stream-Next-Offset/)
      assert.equal(
        await codeOf(await plain('cors', { ...headers, origin: 'https://evil.example' })),
        'origin-not-allowed',
      )
      const preflight = await fetch(`${gateway.http}/agent-1/stream/cors`, { method: 'OPTIONS' })
      assert.equal(preflight.status, 204)
      assert.match(preflight.headers.get('access-control-allow-headers')!, /if-none-match/i)
    })
  })

  it('refuses writes while STREAM_APPEND is off', async () => {
    for (const method of ['PUT', 'POST', 'DELETE']) {
      const answer = await get('s1', '', { method, body: '1', headers: { 'content-type': 'text/plain' } })
      assert.deepEqual([answer.status, answer.headers.get('allow')], [405, 'GET, HEAD, OPTIONS'])
      assert.match(answer.body, /STREAM_APPEND=true/)
    }
  })

  it('ends its readers when the gateway drains', async (t) => {
    const own = await gatewayFor(t, { redis: gateway.redis, env: { ...ENV, STREAM_POLL_TIMEOUT: '1m' } })
    await written('drained', '1')
    const poll = readerOf(own, ADMIN_TOKEN)('drained', 'offset=now&live=long-poll')
    const { events } = await eventsIn(own, 'drained', 'offset=now&live=sse', ADMIN_TOKEN)
    await eventually(() => events.length === 1, 'the first event')
    await eventually(
      async () => (await own.metric('wsproxy_connections_total', { door: 'stream', result: 'accepted' })) === 2,
      'both',
    )
    await own.stop()
    assert.equal((await poll).status, 204)
    await eventually(() => events.at(-1)?.event === 'end', 'the end')
  })

  it('says what Redis refuses in the log, and answers 403', async () => {
    await gateway.agent.set(sessionMeta('broken'), 'no hash')
    const { status, body } = await get('broken')
    assert.deepEqual([status, JSON.parse(body).error.code], [403, 'forbidden'])
    await eventually(
      () => gateway.log.some(({ event, session }) => event === 'stream-unusable' && session === 'broken'),
      'the line',
    )
  })
})
