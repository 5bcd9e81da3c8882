import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { revokedSet, ticketSecrets } from '../../src/contract/names.ts'
import { connect, type TestClient } from '../support/client.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { joinNumbered, positionOf, ticketFrames } from '../support/numbered.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

async function ticketOf(client: TestClient): Promise<string> {
  await eventually(() => ticketFrames(client).length > 0, 'a ticket')
  return ticketFrames(client).at(-1)!.ticket
}

/** The values of the metrics whose names begin with `wsproxy_<name>`, without zeros. */
async function valuesOf({ http }: TestGateway, name: string): Promise<Record<string, number>> {
  const page = await (await fetch(`${http}/metrics`)).text()
  const lines = page.split('\n').filter((line) => line.startsWith(`wsproxy_${name}`))
  return Object.fromEntries(
    lines
      .map((line) => [/result="(\w+)"/.exec(line)?.[1] ?? name, Number(line.split(' ').at(-1))] as const)
      .filter(([, value]) => value > 0),
  )
}

describe('the metrics of tickets', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite, { env: { RESUME_TICKET_TTL: '3s', AUTH_REVOKED_MAX: '7' } })
  })
  const enter = (session: string, ticket: string) =>
    connect(gateway.sessionUrl(session), { token: ticket, protocols: ['wsproxy.v2'] })

  it('count what was sent, and what became of those that came back', async () => {
    const ticket = await ticketOf(await joinNumbered(gateway, 'm1'))
    assert.deepEqual(await valuesOf(gateway, 'tickets_issued_total'), { tickets_issued_total: 1 })
    await positionOf(await enter('m1', ticket))
    const now = Date.now()
    for (const [session, each] of [
      ['m2', ticket],
      ['m1', `${ticket.slice(0, -1)}${ticket.endsWith('A') ? 'B' : 'A'}`],
      ['m1', 'wst1_'],
    ] as const)
      await (await enter(session, each)).closed
    const value = `${now} ${now + 60_000} session:m1:${now}`
    await gateway.agent.zAdd(revokedSet(), { score: now, value })
    await eventually(async () => (await valuesOf(gateway, 'revoked_entries')).revoked_entries === 1, 'the entry')
    await (await enter('m1', ticket)).closed
    await eventually(() => Date.now() > now + 3000, 'the end of the ticket')
    await (await enter('m1', ticket)).closed
    assert.deepEqual(await valuesOf(gateway, 'tickets_judged_total'), {
      accepted: 1,
      session: 1,
      signature: 1,
      malformed: 1,
      revoked: 1,
      expired: 1,
    })
  })

  it('say how many revocations are kept at most', async () => {
    assert.deepEqual(await valuesOf(gateway, 'revoked_limit'), { revoked_limit: 7 })
  })

  it('say how old the set is, while it cannot be read too', async () => {
    assert.ok(((await valuesOf(gateway, 'revoked_age_seconds')).revoked_age_seconds ?? 0) < 1)
    await gateway.agent.set(revokedSet(), 'no set')
    await eventually(async () => (await valuesOf(gateway, 'revoked_age_seconds')).revoked_age_seconds! > 1.5, 'age')
    assert.equal((await valuesOf(gateway, 'revoked_entries')).revoked_entries, 1)
    await gateway.agent.del(revokedSet())
    await eventually(
      async () => ((await valuesOf(gateway, 'revoked_age_seconds')).revoked_age_seconds ?? 0) < 1,
      'news',
    )
  })

  it('count a ticket that cannot be judged', async (t) => {
    const broken = await gatewayFor(t)
    await broken.agent.set(ticketSecrets(), 'no hash')
    const options = { token: 'wst1_a.b', protocols: ['wsproxy.v2'] }
    await (await connect(broken.sessionUrl('m4'), options)).closed
    assert.deepEqual(await valuesOf(broken, 'tickets_judged_total'), { unreadable: 1 })
  })

  it('are 0 where there are neither tickets nor JWTs', async (t) => {
    const off = await gatewayFor(t, { env: { RESUME_TICKET_TTL: '0' } })
    for (const name of ['tickets_', 'revoked_']) assert.deepEqual(await valuesOf(off, name), {})
  })
})
