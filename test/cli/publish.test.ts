import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { killCommands, run } from '../support/cli.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { freePort } from '../support/ports.ts'
import { atEnd, scopeOf } from '../support/scope.ts'

describe('wsproxy publish', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite)
    atEnd(suite, killCommands)
  })
  const publish = (args: readonly string[], input = '') =>
    run(['publish', ...args], { env: { REDIS_URL: gateway.redis.url }, input })

  it('publish delivers the message to the clients of the session, byte for byte', async () => {
    const clients = [await gateway.join('p1'), await gateway.join('p1')]
    const message = '{ "text":  "é😀", "n":1.0 }'
    const { status, stdout, complaints } = await publish(['p1', message])
    assert.equal(status, 0)
    assert.equal(stdout, '')
    assert.equal(complaints.length, 1)
    for (const client of clients) assert.deepEqual(await client.take(1), [message])
  })

  it('publish - sends each line of stdin as a message', async () => {
    const client = await gateway.join('p2')
    const { status } = await publish(['p2', '-'], '{"n":1}\n[2]\n"3"\n')
    assert.equal(status, 0)
    assert.deepEqual(await client.take(3), ['{"n":1}', '[2]', '"3"'])
  })

  it('publish exits with 1 and says so when no gateway receives the message', async () => {
    const { status, complaints } = await publish(['nobody', '{}'])
    assert.equal(status, 1)
    assert.equal(complaints.length, 1)
    assert.match(complaints[0]!, /nobody/)
  })

  it('publish rejects what is not JSON', async () => {
    const client = await gateway.join('p3')
    const { status, complaints } = await publish(['p3', '{"open":'])
    assert.notEqual(status, 0)
    assert.equal(complaints.length, 1)
    assert.match(complaints[0]!, /JSON/)
    await gateway.agent.publish('session:p3:down', '{"marker":1}')
    assert.deepEqual(await client.take(1), ['{"marker":1}'])
  })

  it('publish exits with 1 and one line without Redis', async () => {
    const port = await freePort()
    const env = { REDIS_URL: `redis://127.0.0.1:${port}` }
    const { status, complaints } = await run(['publish', 's1', '{}'], { env })
    assert.equal(status, 1)
    assert.equal(complaints.length, 1)
    assert.match(complaints[0]!, new RegExp(String(port)))
  })
})
