import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { connect, refused } from '../../support/client.ts'
import { gatewayFor } from '../../support/gateway.ts'
import { hashReads } from '../../support/runs.ts'
import { scopeOf } from '../../support/scope.ts'

describe('RUN_KEY_PREFIX', () => {
  const suite = scopeOf(after)

  it('opens ids that begin with it, and refuses others with 400 without reading their key', async () => {
    const gateway = await gatewayFor(suite, { env: { RUN_KEY_PREFIX: 'run-', RUN_RESYNC_INTERVAL: '0' } })
    await gateway.agent.hSet('secrets', 'attrs:has_sbs', 'true')
    const reads = (await hashReads(gateway.agent)).done
    for (const id of ['secrets', 'Run-1', 'arun-1', 'run']) {
      const { status, code, message } = await refused(`${gateway.url}/${id}`)
      assert.deepEqual([status, code], [400, 'malformed-id'], id)
      assert.match(message, /run-.*RUN_KEY_PREFIX/)
    }
    assert.equal((await hashReads(gateway.agent)).done, reads)
    const run = await connect(`${gateway.url}/run-a%40b%3Bc/`)
    await run.take(1)
    await gateway.agent.hSet('run-a@b;c', 'last_modified', '5')
    await run.find({ last_modified: 5 })
    await run.close()
  })
})

describe('RUN_MAX_FIELDS', () => {
  const suite = scopeOf(after)

  it('a hash with more fields is shown as empty without being read, and other runs go on', async () => {
    const gateway = await gatewayFor(suite, { env: { RUN_MAX_FIELDS: '100', RUN_RESYNC_INTERVAL: '0' } })
    const fields = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`f${i}`, 'x']))
    await gateway.agent.hSet('huge', { ...fields(100), last_modified: '7' })
    const reads = (await hashReads(gateway.agent)).done
    const huge = await connect(`${gateway.url}/huge`)
    const [first] = await huge.take(1)
    assert.doesNotMatch(String(first), /"last_modified":7/)
    assert.equal((await hashReads(gateway.agent)).done, reads)
    const line = gateway.log.find(({ event }) => event === 'run-fault')
    assert.match(String(line?.reason), /101 fields, and RUN_MAX_FIELDS is 100/)
    const other = await connect(`${gateway.url}/other`)
    await gateway.agent.hSet('other', 'last_modified', '8')
    await other.find({ last_modified: 8 })
    await gateway.agent.hDel('huge', 'f0')
    await huge.find({ last_modified: 7 })
    for (const client of [huge, other]) await client.close()
  })

  it('a hash with a million fields stops neither Redis nor the runs of others, however often it changes', async () => {
    const gateway = await gatewayFor(suite, { env: { RUN_RESYNC_INTERVAL: '0' } })
    const fill = "for i = ARGV[1], ARGV[1] + 9999 do redis.call('HSET', KEYS[1], 'f' .. i, 'a value of a field') end"
    // In parts: one script of a second would look like an outage to the gateway.
    for (let from = 0; from < 1e6; from += 10_000)
      await gateway.agent.eval(fill, { keys: ['million'], arguments: [String(from)] })
    // The log of every command: a time would depend on the machine.
    await gateway.agent.configSet({ 'slowlog-log-slower-than': '0', 'slowlog-max-len': '100000' })
    await gateway.agent.sendCommand(['SLOWLOG', 'RESET'])
    const watchers = await Promise.all(Array.from({ length: 20 }, () => connect(`${gateway.url}/million`)))
    const other = await connect(`${gateway.url}/other`)
    await other.take(1)
    for (let n = 1; n <= 20; n++) {
      await gateway.agent.hSet('million', 'f1', String(n))
      await gateway.agent.hSet('other', 'last_modified', String(n))
      await other.find({ last_modified: n })
    }
    const log = await gateway.agent.sendCommand<[number, number, number, string[]][]>(['SLOWLOG', 'GET', '-1'])
    const reads = log.map(([, , , args]) => args.slice(0, 2).join(' ')).filter((text) => /^(hlen|hgetall) /i.test(text))
    assert.ok(reads.some((text) => /^hlen million$/i.test(text)) && reads.some((text) => /^hgetall other$/i.test(text)))
    assert.ok(!reads.some((text) => /^hgetall million$/i.test(text)))
    for (const client of [...watchers, other]) await client.close()
  })
})
