import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { killCommands, run } from '../support/cli.ts'
import { connect } from '../support/client.ts'
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

  it('publish --topic delivers to the clients of a topic of the live door', async () => {
    const client = await connect(`${gateway.url}/live?subscriptions=system`)
    await client.find({ type: 'connection_established' })
    const { status, complaints } = await publish(['--topic', 'system', '{"load":0.7}'])
    assert.equal(status, 0, complaints.join())
    assert.deepEqual((await client.find({ type: 'system_update' })).data, { load: 0.7 })
    const lonely = await publish(['--topic', 'unwatched', '{}'])
    assert.equal(lonely.status, 1)
    assert.match(lonely.complaints[0]!, /no gateway has a client of topic unwatched/)
  })

  it('publish --run sets fields of a run, and its clients get the new checklist', async () => {
    const client = await connect(`${gateway.url}/cli-run`)
    await client.find({ type: 'preflight' })
    const { status, complaints } = await publish(['--run', 'cli-run', 'timestamps:build_channels=1', 'note=a=b'])
    assert.equal(status, 0)
    assert.deepEqual(complaints, ['set 2 fields of run cli-run'])
    assert.deepEqual({ ...(await gateway.agent.hGetAll('cli-run')) }, { 'timestamps:build_channels': '1', note: 'a=b' })
  })

  it('publish --topic --last keeps the message for the clients that come later', async () => {
    const { status, complaints } = await publish(['--topic', 'unwatched', '--last', '1h', '{"step":7}'])
    assert.deepEqual([status, complaints], [0, ['published to 0 gateways']])
    const { agent } = gateway
    assert.equal(await agent.get('live:last:unwatched'), '{"step":7}')
    assert.ok((await agent.ttl('live:last:unwatched')) > 3500)
    for (const args of [
      ['s1', '--last', '1h', '{}'],
      ['--topic', 'x', '--last', 'long', '{}'],
    ])
      assert.equal((await publish(args)).status, 2, args.join(' '))
  })

  it('publish names what is wrong with a topic, a run or its fields', async () => {
    for (const [args, pattern] of [
      [['--topic', 'A B', '{}'], /"A B" is not a topic/],
      [['--topic', '--run', 'x', 'y'], /--topic and --run exclude each other/],
      [['--run', 'a:b', 'f=1'], /"a:b" is not a run id/],
      [['--run', 'r1'], /at least one field/],
      [['--run', 'r1', 'novalue'], /"novalue" is not field=value/],
      [['s1', '{}', 'extra'], /a session and one JSON message/],
    ] as const) {
      const { status, complaints } = await publish(args)
      assert.equal(status, 2, args.join(' '))
      assert.match(complaints[0]!, pattern)
    }
  })
})
