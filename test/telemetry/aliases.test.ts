import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { connect } from '../support/client.ts'
import { assertProblem } from '../support/config.ts'
import { gatewayFor } from '../support/gateway.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

describe('METRICS_ALIASES', () => {
  const suite = scopeOf(after)
  const NAMES = ['connections_active', 'messages_sent_total', 'redis_reconnects_total', 'write_errors_total']

  it('adds the series of the programs with the values of the run door', async () => {
    const { http, url, metric, join } = await gatewayFor(suite, { env: { METRICS_ALIASES: 'preflight2,preflight' } })
    const page = await (await fetch(`${http}/metrics`)).text()
    for (const program of ['preflight2', 'preflight'])
      for (const name of NAMES) assert.match(page, new RegExp(`^${program}_${name} 0$`, 'm'))
    const clients = [await connect(`${url}/run-1`), await connect(`${url}/run-2`)]
    await join('not-a-run')
    for (const client of clients) await client.find({ type: 'preflight' })
    await eventually(async () => (await metric('preflight2_connections_active')) === 2, 'two sockets')
    assert.equal(
      await metric('preflight_messages_sent_total'),
      await metric('wsproxy_messages_sent_total', { door: 'run' }),
    )
    for (const client of clients) await client.close()
    await eventually(async () => (await metric('preflight2_connections_active')) === 0, 'no socket')
  })

  it('adds nothing by default, and refuses a program that it does not know', async () => {
    const { http } = await gatewayFor(suite)
    assert.doesNotMatch(await (await fetch(`${http}/metrics`)).text(), /^preflight/m)
    assertProblem({ METRICS_ALIASES: 'preflight3' }, /^METRICS_ALIASES: "preflight3" is not one of/)
  })
})
