import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { pageOf } from '../../../src/doors/live/status.ts'
import { connect } from '../../support/client.ts'
import { gatewayFor, type TestGateway } from '../../support/gateway.ts'
import { live } from '../../support/live.ts'
import { scopeOf } from '../../support/scope.ts'

describe('the agents of a status', () => {
  const agents = Array.from({ length: 2500 }, (_, i) => ({ agent_id: `a${String(i).padStart(5, '0')}`, sessions: 1 }))
  const data = { agents, summary: { total: 2500, active: 2500 } }
  type Page = { agents: typeof agents; next?: string; summary: object }
  const page = (params?: unknown) => pageOf(data, params) as Page

  it('come in pages that have each of them once, in order, with the counts of all', () => {
    for (const limit of [undefined, 1000, 999, 250, 7]) {
      const seen: typeof agents = []
      let after: string | undefined
      do {
        const { agents: part, next, summary } = page({ limit, after })
        assert.ok(part.length <= (limit ?? 1000))
        assert.deepEqual(summary, data.summary)
        seen.push(...part)
        after = next
      } while (after !== undefined)
      assert.deepEqual(seen, agents)
    }
  })

  it('are at most 1,000, whatever a client asks for', () => {
    for (const params of [undefined, null, [], 'x', 7, { limit: 1e9 }, { limit: 'all' }, { limit: 1.5 }, { after: 7 }])
      assert.equal(page(params).agents.length, 1000, JSON.stringify(params))
    for (const limit of [0, -1]) assert.equal(page({ limit }).agents.length, 1)
    assert.deepEqual([page({ after: 'z' }).agents, page({ after: 'z' }).next], [[], undefined])
  })
})

describe('a client that asks for agent_status', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite)
  })

  it('gets the next page after an agent, also when that agent has gone', async () => {
    for (const agent of ['b', 'd', 'a', 'c']) {
      const token = await gateway.token(`s-${agent}`)
      await connect(`${gateway.url}/${agent}/ws/s-${agent}`, { headers: { Authorization: `Bearer ${token}` } })
    }
    const client = await live(gateway)
    const ask = async (params: object) => {
      const correlation_id = JSON.stringify(params)
      client.send({ type: 'request_data', data_type: 'agent_status', params, correlation_id })
      const { data } = await client.find({ type: 'data_response', correlation_id })
      const { agents, next } = data as { agents: { agent_id: string }[]; next?: string }
      return [agents.map(({ agent_id }) => agent_id), next]
    }
    assert.deepEqual(await ask({ limit: 2 }), [['a', 'b'], 'b'])
    assert.deepEqual(await ask({ limit: 2, after: 'b' }), [['c', 'd'], undefined])
    assert.deepEqual(await ask({ after: 'bb' }), [['c', 'd'], undefined])
  })
})
