import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sessionAuth, sessionCancel, sessionPosted, sessionUp } from '../../../src/contract/names.ts'
import { faultProxyFor } from '../../support/fault-proxy.ts'
import { gatewayFor, type TestGateway } from '../../support/gateway.ts'
import { scopeOf } from '../../support/scope.ts'
import { secretSigner, tokenOf } from '../../support/tokens.ts'
import { eventually } from '../../support/wait.ts'

const SECRET = '0123456789abcdef0123456789abcdef'
const signer = secretSigner(SECRET)

// biome-ignore lint/suspicious/noExplicitAny: a test reads JSON that it knows
const bodyOf = (answer: Response): Promise<any> => answer.json()
const outcomeOf = async (answer: Response): Promise<unknown[]> => {
  const { error, receivers } = await bodyOf(answer)
  return [answer.status, error?.code ?? receivers]
}

describe('a frame that is posted to a session', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite, {
      env: {
        AUTH_TOKEN_MODE: 'reusable',
        AUTH_JWT_SECRET: SECRET,
        MAX_MESSAGE_SIZE: '1KiB',
        ALLOWED_ORIGINS: 'https://good.example',
      },
    })
  })
  const post = (session: string, body: string | Uint8Array, headers: Record<string, string> = {}, from = gateway) =>
    fetch(`${from.http}/agent-1/sse/${session}`, {
      method: 'POST',
      headers: { Authorization: 'Bearer token', 'Content-Type': 'application/json', ...headers },
      body,
    })
  /** The frames that an agent of the session gets. */
  const agentOf = async (session: string): Promise<string[]> => {
    await gateway.agent.set(sessionAuth(session), 'token')
    const heard: string[] = []
    const agent = await gateway.redis.client()
    await agent.subscribe(sessionUp(session), (message) => void heard.push(message))
    return heard
  }

  it('reaches the agent, and its answer says how many have got it', async () => {
    const heard = await agentOf('one')
    assert.deepEqual(await outcomeOf(await post('one', '{"type":"ask"}')), [202, 1])
    await eventually(() => heard.length === 1, 'the frame')
    assert.deepEqual(heard, ['{"type":"ask"}'])
    await gateway.agent.set(sessionAuth('no-agent'), 'token')
    assert.deepEqual(await outcomeOf(await post('no-agent', '{}')), [202, 0])
  })

  it('is published once under an idempotency key, and the same answer comes again', async () => {
    const heard = await agentOf('once')
    const key = { 'Idempotency-Key': 'c0ffee-1' }
    const answers = await Promise.all(Array.from({ length: 8 }, () => post('once', '{"n":1}', key).then(outcomeOf)))
    for (const answer of answers) assert.deepEqual(answer, [202, 1])
    const other = await post('once', '{"n":2}', key)
    const { error } = await bodyOf(other)
    assert.deepEqual([other.status, error.code, error.field], [400, 'bad-request', 'Idempotency-Key'])
    assert.deepEqual(await outcomeOf(await post('once', '{"n":2}', { 'Idempotency-Key': 'c0ffee-2' })), [202, 1])
    await eventually(() => heard.length === 2, 'both frames')
    assert.deepEqual(heard, ['{"n":1}', '{"n":2}'])
    assert.deepEqual(await outcomeOf(await post('once', '{}', { 'Idempotency-Key': 'x y' })), [400, 'bad-request'])
    const [name] = await gateway.agent.keys(sessionPosted('once', '*').replace(/[[\]]/g, '?'))
    const ttl = await gateway.agent.pTTL(name!)
    assert.ok(ttl > 3_500_000 && ttl <= 3_600_000, `${ttl}`)
  })

  it('is published once when Redis was lost before its answer, and the client repeats it', async () => {
    const proxy = await faultProxyFor(suite, gateway.redis.port)
    const behind = await gatewayFor(suite, {
      redis: { ...gateway.redis, url: `redis://127.0.0.1:${proxy.port}` },
      env: { AUTH_JWT_SECRET: SECRET },
    })
    const heard = await agentOf('lost')
    const claims = { session_id: 'lost', exp: Math.floor(Date.now() / 1000) + 600 }
    const headers = { Authorization: `Bearer ${tokenOf(signer, claims)}`, 'Idempotency-Key': 'lost-1' }
    const repeat = () => post('lost', '{"n":1}', headers, behind).then(outcomeOf)
    proxy.drop({ way: 'down' })
    const first = repeat()
    await eventually(() => heard.length === 1, 'the frame at the agent')
    proxy.heal()
    assert.deepEqual(await first, [503, 'upstream-uncertain'])
    await eventually(async () => (await repeat())[0] === 202, 'the repetition')
    assert.deepEqual(await repeat(), [202, 1])
    assert.deepEqual(heard, ['{"n":1}'])
  })

  it('gets the errors of a socket as answers', async () => {
    await agentOf('errors')
    assert.deepEqual(await outcomeOf(await post('errors', 'no json')), [400, 'invalid-json'])
    assert.deepEqual(await outcomeOf(await post('errors', '')), [400, 'invalid-json'])
    const latin1 = Buffer.from('"\xe9"', 'latin1')
    assert.deepEqual(await outcomeOf(await post('errors', latin1)), [400, 'invalid-json'])
    assert.deepEqual(await outcomeOf(await post('errors', latin1, { 'Idempotency-Key': '1' })), [400, 'invalid-json'])
    assert.deepEqual(await outcomeOf(await post('errors', `"${'x'.repeat(1100)}"`)), [413, 'body-too-large'])
    const deep = await post('errors', '['.repeat(200) + ']'.repeat(200))
    assert.match((await bodyOf(deep)).error.message, /JSON_MAX_DEPTH/)
    const own = async (env: Record<string, string>) =>
      gatewayFor(suite, { redis: gateway.redis, env: { AUTH_TOKEN_MODE: 'reusable', ...env } })
    const mute = await own({ SESSION_UPSTREAM: 'false' })
    assert.deepEqual(await outcomeOf(await post('errors', '{}', {}, mute)), [403, 'upstream-disabled'])
    const slow = await own({ SESSION_RATE: '1', SESSION_RATE_BURST: '1' })
    await post('errors', '{}', {}, slow)
    const limited = await post('errors', '{}', {}, slow)
    assert.ok(limited.headers.get('retry-after'))
    assert.deepEqual(await outcomeOf(limited), [429, 'rate-limited'])
  })

  it('needs a credential that may publish', async () => {
    await agentOf('rights')
    const claims = (up?: boolean) => ({ session_id: 'rights', exp: Math.floor(Date.now() / 1000) + 600, up })
    const jwt = (up?: boolean) => ({ Authorization: `Bearer ${tokenOf(signer, claims(up))}` })
    assert.deepEqual(await outcomeOf(await post('rights', '{}', jwt())), [202, 1])
    assert.deepEqual(await outcomeOf(await post('rights', '{}', jwt(false))), [403, 'forbidden'])
    assert.deepEqual(await outcomeOf(await post('rights', '{}', { Authorization: '' })), [401, 'credentials-missing'])
    assert.deepEqual(await outcomeOf(await post('rights', '{}', { Authorization: 'Bearer no' })), [
      403,
      'token-rejected',
    ])
    const { ticket } = await bodyOf(
      await fetch(`${gateway.http}/agent-1/ticket/rights`, { method: 'POST', headers: jwt() }),
    )
    const byTicket = await post('rights', '{}', { Authorization: `Bearer ${ticket}` })
    assert.deepEqual(await outcomeOf(byTicket), [403, 'token-rejected'])
    const spending = await gatewayFor(suite, { redis: gateway.redis })
    assert.deepEqual(await outcomeOf(await post('rights', '{}', {}, spending)), [403, 'token-single-use'])
  })

  it('may come with the cookie, from a page of the own origin or one that ALLOWED_ORIGINS names, and as JSON', async () => {
    await agentOf('cookie')
    const cookieFor = async (up?: boolean): Promise<string> => {
      const claims = { session_id: 'cookie', exp: Math.floor(Date.now() / 1000) + 600, up }
      const answer = await fetch(`${gateway.http}/agent-1/ticket/cookie`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${tokenOf(signer, claims)}` },
      })
      return String(answer.headers.get('set-cookie')).split(';')[0]!
    }
    const cookie = { Authorization: '', Cookie: await cookieFor() }
    const good = { ...cookie, Origin: 'https://good.example' }
    assert.deepEqual(await outcomeOf(await post('cookie', '{}', good)), [202, 1])
    const own = { ...cookie, Origin: gateway.http }
    assert.deepEqual(await outcomeOf(await post('cookie', '{}', own)), [202, 1])
    assert.deepEqual(await outcomeOf(await post('cookie', '{}', cookie)), [403, 'origin-not-allowed'])
    const bad = await post('cookie', '{}', { ...cookie, Origin: 'https://bad.example' })
    assert.deepEqual(await outcomeOf(bad), [403, 'origin-not-allowed'])
    const text = await post('cookie', '{}', { ...good, 'Content-Type': 'text/plain' })
    assert.deepEqual(await outcomeOf(text), [400, 'bad-request'])
    const reader = { ...good, Cookie: await cookieFor(false) }
    assert.deepEqual(await outcomeOf(await post('cookie', '{}', reader)), [403, 'forbidden'])
  })

  it('that cancels a run leaves the key for an agent that is away', async () => {
    await agentOf('cancel')
    await post('cancel', '{"type":"control","command":"cancel","run":"r7"}')
    assert.equal(await gateway.agent.get(sessionCancel('cancel')), 'r7')
  })
  it('that cancels a run does not, when its idempotency key is that of another frame', async () => {
    const heard = await agentOf('conflict')
    const key = { 'Idempotency-Key': 'c1' }
    const cancel = (run: string) => post('conflict', `{"type":"control","command":"cancel","run":"${run}"}`, key)
    assert.deepEqual(await outcomeOf(await post('conflict', '{"type":"ask"}', key)), [202, 1])
    assert.deepEqual(await outcomeOf(await cancel('r1')), [400, 'bad-request'])
    assert.equal(await gateway.agent.get(sessionCancel('conflict')), null)
    key['Idempotency-Key'] = 'c2'
    const both = await Promise.all([cancel('r2').then(outcomeOf), cancel('r3').then(outcomeOf)])
    const winner = both.findIndex(([status]) => status === 202)
    assert.deepEqual(both[1 - winner], [400, 'bad-request'])
    assert.equal(await gateway.agent.get(sessionCancel('conflict')), ['r2', 'r3'][winner])
    assert.deepEqual(await outcomeOf(await cancel(['r2', 'r3'][winner]!)), [202, 1])
    await eventually(() => heard.length === 2, 'the cancel')
    assert.equal(heard.length, 2)
  })
})
