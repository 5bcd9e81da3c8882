import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sessionDown } from '../../src/contract/names.ts'
import { connectionId, createLogger } from '../../src/telemetry/log.ts'
import { connect, refused } from '../support/client.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const

function kept(level: string) {
  const text: string[] = []
  return { text, log: createLogger(level, { write: (line: string) => void text.push(line) }) }
}

describe('the logger', () => {
  it('writes one JSON line per event, with an RFC 3339 time and the name of the level', () => {
    const { text, log } = kept('trace')
    log.info({ event: 'x', note: 'two\nlines' }, 'said')
    assert.equal(text.length, 1)
    assert.match(text[0]!, /^\{[^\n]*\}\n$/)
    const { time, ...rest } = JSON.parse(text[0]!)
    assert.match(time, RFC_3339)
    assert.deepEqual(rest, { level: 'info', event: 'x', note: 'two\nlines', msg: 'said' })
  })

  it('writes no line below its level', () => {
    for (const [at, level] of LEVELS.entries()) {
      const { text, log } = kept(level)
      for (const each of LEVELS) log[each]('said')
      assert.deepEqual(
        text.map((line) => JSON.parse(line).level),
        LEVELS.slice(at),
      )
    }
    const silent = kept('silent')
    for (const each of LEVELS) silent.log[each]('said')
    assert.deepEqual(silent.text, [])
  })

  it('names the door, id, subject and remote address of a socket in each of its lines', () => {
    const { text, log } = kept('info')
    const door = { name: 'session', subjectName: 'session' }
    const conn = log.connection({ serial: 7, subject: 's1', address: '192.0.2.1', door })
    conn.info('one')
    conn.warn('two')
    for (const line of text) {
      assert.deepEqual(JSON.parse(line).conn, {
        door: 'session',
        id: connectionId(7),
        session: 's1',
        remote: '192.0.2.1',
      })
    }
  })

  it('writes the stack of an error and its cause', () => {
    const { text, log } = kept('info')
    log.error({ err: new Error('outer', { cause: new Error('inner') }) }, 'fault')
    const { err } = JSON.parse(text[0]!)
    assert.match(err.message, /outer/)
    assert.match(err.stack, /inner/)
  })

  it('never writes an error without a message, whatever was thrown', () => {
    const { text, log } = kept('info')
    const refused = Object.assign(new Error(''), { code: 'ECONNREFUSED' })
    for (const err of [refused, new AggregateError([refused]), new Error('', { cause: refused }), 'ECONNREFUSED'])
      log.error({ err }, 'fault')
    for (const line of text) assert.match(JSON.parse(line).err.message, /ECONNREFUSED/)
  })

  it('gives each socket a unique id', () => {
    const ids = Array.from({ length: 1000 }, (_, i) => connectionId(i))
    assert.equal(new Set(ids).size, 1000)
    for (const id of ids) assert.match(id, /^[0-9a-z]{6}-[0-9a-z]+$/)
  })
})

describe('the log of a gateway', () => {
  const suite = scopeOf(after)
  const PAYLOAD = 'a-payload-nobody-should-see'
  const TOKEN = 'a-token-nobody-should-see'
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite, {
      env: { LOG_LEVEL: 'trace', AUTH_ALLOW_QUERY_TOKEN: 'true', MAX_MESSAGE_SIZE: '1KB' },
    })
  })

  const find = (event: string, session: string) =>
    eventually(
      () =>
        gateway.log.find((line) => line.event === event && (line.conn as Record<string, unknown>)?.session === session),
      `the event ${event}`,
    )

  it('has a line when a socket is accepted and when it closes, with the same id', async () => {
    const clients = [await gateway.join('life'), await gateway.join('other')]
    clients[0]!.send('{"n":1}')
    await gateway.agent.publish(sessionDown('life'), '{"n":22}')
    await clients[0]!.take(1)
    clients[0]!.socket.close(1000, 'bye')
    const accepted = await find('accepted', 'life')
    const closed = await find('closed', 'life')
    const { id, ...conn } = accepted.conn as Record<string, unknown>
    assert.deepEqual(conn, { door: 'session', session: 'life', remote: '127.0.0.1' })
    assert.deepEqual(closed.conn, accepted.conn)
    assert.notEqual(((await find('accepted', 'other')).conn as Record<string, unknown>).id, id)
    const { code, by, framesIn, framesOut, bytesIn, bytesOut, seconds } = closed
    assert.deepEqual(
      { code, by, framesIn, framesOut, bytesIn, bytesOut },
      { code: 1000, by: 'client', framesIn: 1, framesOut: 1, bytesIn: 7, bytesOut: 8 },
    )
    assert.ok(Number(seconds) >= 0 && Number(seconds) < 60)
    await clients[1]!.close()
  })

  it('has the code and the reason of a refusal', async () => {
    await gateway.token('why', 'right')
    await refused(gateway.sessionUrl('why'), { token: 'wrong' })
    await refused(gateway.sessionUrl('why-not'), { token: 'wrong' })
    const [wrong, absent] = [await find('refused', 'why'), await find('refused', 'why-not')]
    for (const line of [wrong, absent]) {
      assert.equal(line.code, 'token-rejected')
      assert.equal((line.conn as Record<string, unknown>).remote, '127.0.0.1')
    }
    assert.notEqual(wrong.why, absent.why)
  })

  it('has the code and the reason of a close by the server', async () => {
    const client = await gateway.join('big')
    client.send(`"${'x'.repeat(2000)}"`)
    await client.closed
    const { code, by, reason } = await find('closed', 'big')
    assert.deepEqual({ code, by, reason }, { code: 1009, by: 'server', reason: 'message too big' })
  })

  it('never contains a token or a payload, at any level and wherever the token was sent', async () => {
    const encoded = Buffer.from(TOKEN).toString('base64url')
    const url = gateway.sessionUrl('secret')
    const ways = [() => connect(url, { token: TOKEN }), () => connect(`${url}?access_token=${TOKEN}`)]
    for (const way of ways) {
      await gateway.token('secret', TOKEN)
      const client = await way()
      client.send(JSON.stringify({ text: PAYLOAD }))
      client.send(`no JSON: ${PAYLOAD}`)
      await gateway.agent.publish(sessionDown('secret'), JSON.stringify({ text: PAYLOAD }))
      await client.take(2)
      client.socket.close(1000, PAYLOAD)
      await client.closed
      await refused(url, { token: TOKEN })
    }
    await refused(url, { headers: { 'Sec-WebSocket-Protocol': `wsproxy.v1, bearer.${encoded}` } })
    await refused(url, { headers: { Authorization: `Basic ${TOKEN}` } })
    await refused(`${url}x;${TOKEN}`, { token: TOKEN })
    await eventually(() => gateway.log.filter(({ event }) => event === 'refused').length >= 5, 'the refusals')
    const all = JSON.stringify(gateway.log)
    for (const secret of [TOKEN, encoded, PAYLOAD]) assert.ok(!all.includes(secret), secret)
    assert.ok(gateway.log.length > 0)
  })

  it('has a line when a drain begins and when it ends', async (t) => {
    const other = await gatewayFor(t)
    const client = await other.join('drain')
    await other.gateway.stop()
    await client.closed
    const events = other.log.map(({ event }) => event)
    assert.ok(events.indexOf('drain-start') >= 0)
    assert.ok(events.indexOf('drain-end') > events.indexOf('closed'))
    assert.equal(other.log.find(({ event }) => event === 'drain-start')?.sockets, 1)
    for (const { time } of other.log) assert.match(String(time), RFC_3339)
  })
})
