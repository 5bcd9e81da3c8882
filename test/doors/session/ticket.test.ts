import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sessionAuth, ticketSecrets } from '../../../src/contract/names.ts'
import { connect, refused, type TestClient } from '../../support/client.ts'
import { gatewayFor, type TestGateway } from '../../support/gateway.ts'
import { controls, joinNumbered, positionOf, say, takeMessages, ticketFrames } from '../../support/numbered.ts'
import { scopeOf } from '../../support/scope.ts'
import { eventually } from '../../support/wait.ts'

const V2 = ['wsproxy.v2']
const REFUSED = { code: 4401, reason: 'token-rejected' }

async function ticketOf(client: TestClient): Promise<string> {
  await eventually(() => ticketFrames(client).length > 0, 'a ticket')
  return ticketFrames(client).at(-1)!.ticket
}

/** Numbers of a ticket. */
const claimsIn = (ticket: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(ticket.slice('wst1_'.length, ticket.indexOf('.')), 'base64url').toString())

describe('a resume ticket', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite, { env: { RESUME_TICKET_TTL: '4s' } })
  })
  const enter = (session: string, token: string, from = gateway, agent?: string) =>
    connect(from.sessionUrl(session, agent), { token, protocols: V2 })
  const lookups = async (): Promise<number> => {
    const stats = await gateway.agent.info('commandstats')
    return [...stats.matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g)].reduce((sum, [, calls]) => sum + Number(calls), 0)
  }

  it('comes after the position, and admits its client again, on any instance, without a token lookup', async () => {
    await say(gateway.agent, 'back', 'one')
    const client = await joinNumbered(gateway, 'back')
    assert.deepEqual(
      (await client.take(2)).map((frame) => JSON.parse(String(frame)).command),
      ['position', 'ticket'],
    )
    const [frame] = ticketFrames(client)
    assert.deepEqual(
      [Object.keys(frame!), frame!.expires_in_ms],
      [['type', 'command', 'ticket', 'expires_in_ms'], 4000],
    )
    client.socket.terminate()
    const other = await gatewayFor(suite, { redis: gateway.redis })
    const before = await lookups()
    for (const instance of [gateway, other]) {
      const again = await enter('back', frame!.ticket, instance)
      await positionOf(again)
      await say(gateway.agent, 'back', 'more')
      await takeMessages(again, 1)
      assert.deepEqual(claimsIn(await ticketOf(again)).sid, claimsIn(frame!.ticket).sid)
    }
    // Two messages were written by the script, which counts as well.
    assert.equal(await lookups(), before + 2)
  })

  it('may stand in the subprotocol', async () => {
    const ticket = await ticketOf(await joinNumbered(gateway, 'protocol'))
    const bearer = `bearer.${Buffer.from(ticket).toString('base64url')}`
    const again = await connect(gateway.sessionUrl('protocol'), { protocols: ['wsproxy.v2', bearer] })
    assert.equal((await positionOf(again)).command, 'position')
  })

  it('is renewed at half of its life, with the same `sid`, `auth_time` and `not_after`', async () => {
    const client = await joinNumbered(gateway, 'renewed')
    await eventually(() => ticketFrames(client).length >= 3, 'two renewals')
    const [first, ...rest] = ticketFrames(client).map(({ ticket }) => claimsIn(ticket))
    for (const { sid, auth_time, not_after, exp } of rest) {
      assert.deepEqual([sid, auth_time, not_after], [first!.sid, first!.auth_time, first!.not_after])
      assert.ok(Number(exp) > Number(first!.exp))
    }
  })

  it('is refused with the close code of a rejected token: another session, another agent, changed, expired', async () => {
    const client = await joinNumbered(gateway, 'mine')
    const ticket = await ticketOf(client)
    client.socket.terminate()
    // Were it looked up as a token, it would be found.
    const changed = `${ticket.slice(0, -1)}${ticket.endsWith('A') ? 'B' : 'A'}`
    for (const session of ['yours', 'mine']) await gateway.agent.set(sessionAuth(session), changed)
    assert.deepEqual(await (await enter('mine', changed)).closed, REFUSED)
    assert.deepEqual(await (await enter('yours', ticket)).closed, REFUSED)
    assert.deepEqual(await (await enter('mine', ticket, gateway, 'agent-2')).closed, REFUSED)
    assert.deepEqual(await (await enter('mine', 'wst1_')).closed, REFUSED)
    assert.equal(await gateway.agent.get(sessionAuth('mine')), changed)
    await eventually(() => Date.now() >= Number(claimsIn(ticket).exp), 'the expiry')
    assert.deepEqual(await (await enter('mine', ticket)).closed, REFUSED)
    const reasons = gateway.log.map(({ why }) => why).filter((why) => why !== undefined)
    assert.ok(reasons.includes('no accepted secret signed the ticket'), String(reasons))
  })

  it('is refused to `wsproxy.v1` and at the other doors, and is no token there', async (t) => {
    const bearer = await gatewayFor(t, { env: { RUN_AUTH: 'bearer' } })
    const token = 'wst1_abc.def'
    await bearer.agent.set('session:old:auth', token)
    await bearer.agent.set('run:run-1:auth', token)
    for (const path of ['agent-1/ws/old', 'run-1'])
      assert.equal((await refused(`${bearer.url}/${path}`, { token })).code, 'token-rejected')
    assert.equal(await bearer.agent.get('session:old:auth'), token)
    assert.equal(await bearer.agent.get('run:run-1:auth'), token)
  })

  it('never comes to a client of `wsproxy.v1`', async () => {
    const client = await gateway.join('old')
    await gateway.agent.publish('session:old:down', 'last')
    assert.deepEqual(await client.take(1), ['last'])
  })

  it('is neither sent nor taken with RESUME_TICKET_TTL=0', async (t) => {
    const off = await gatewayFor(t, { redis: gateway.redis, env: { RESUME_TICKET_TTL: '0' } })
    const ticket = await ticketOf(await joinNumbered(gateway, 'off'))
    const client = await joinNumbered(off, 'off')
    await say(gateway.agent, 'off', 'one')
    await takeMessages(client, 1)
    assert.deepEqual(ticketFrames(client), [])
    assert.deepEqual(await (await enter('off', ticket, off)).closed, REFUSED)
  })

  it('ends with RESUME_MAX_LIFETIME, however often it was renewed', async (t) => {
    const short = await gatewayFor(t, { env: { RESUME_TICKET_TTL: '2s', RESUME_MAX_LIFETIME: '3s' } })
    const client = await joinNumbered(short, 'short')
    const first = await ticketOf(client)
    const again = await enter('short', first, short)
    await eventually(() => ticketFrames(again).length >= 2, 'a renewal')
    const last = await ticketOf(again)
    const notAfter = Number(claimsIn(first).not_after)
    for (const { ticket } of [...ticketFrames(client), ...ticketFrames(again)]) {
      assert.equal(claimsIn(ticket).not_after, notAfter)
      assert.ok(Number(claimsIn(ticket).exp) <= notAfter)
    }
    await eventually(() => Date.now() >= notAfter, 'the end of the lifetime')
    assert.deepEqual(await (await enter('short', last, short)).closed, REFUSED)
  })

  it('is in no log line', async () => {
    const ticket = await ticketOf(await joinNumbered(gateway, 'logged'))
    await enter('logged', ticket)
    const lines = JSON.stringify(gateway.log)
    assert.ok(!lines.includes('wst1_') && !lines.includes(Buffer.from(ticket).toString('base64url').slice(0, 20)))
  })

  it('is left out, with a warning, when its secrets cannot be used: sockets open as before', async (t) => {
    const broken = await gatewayFor(t)
    await broken.agent.set(ticketSecrets(), 'no hash')
    const client = await joinNumbered(broken, 'broken')
    await say(broken.agent, 'broken', 'one')
    assert.deepEqual(await takeMessages(client, 1), ['1 one'])
    const commands = controls(client).map(({ command }) => command)
    assert.deepEqual(commands, ['position', 'position'])
    assert.deepEqual(ticketFrames(client), [])
    assert.equal(broken.log.filter(({ event }) => event === 'ticket-secrets-unusable').length, 1)
    assert.deepEqual(await (await enter('broken', 'wst1_a.b', broken)).closed, REFUSED)
  })
})
