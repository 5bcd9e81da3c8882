import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { reachableBy, serversOf } from '../../src/config/redis-servers.ts'
import { assertProblem, problemsOf } from '../support/config.ts'

describe('an entry of REDIS_CLUSTER_NODES and of REDIS_SENTINELS', () => {
  for (const [entry, cluster, sentinel] of [
    ['h:7000', { host: 'h', port: 7000 }],
    ['[::1]:7000', { host: '::1', port: 7000 }],
    ['redis://h:7000', { host: 'h', port: 7000 }],
    ['rediss://h:7000/', { host: 'h', port: 7000 }],
    ['rediss://[2001:db8::1]:7000/0', { host: '2001:db8::1', port: 7000 }],
    ['redis://h', { host: 'h', port: 6379 }, { host: 'h', port: 26379 }],
  ] as const) {
    it(`may be ${entry}`, () => {
      const tls = entry.startsWith('rediss:')
      assert.deepEqual(serversOf('REDIS_CLUSTER_NODES', [entry]), { places: [cluster], tls })
      assert.deepEqual(serversOf('REDIS_SENTINELS', [entry]), { places: [sentinel ?? cluster], tls })
      assert.deepEqual(problemsOf({ REDIS_CLUSTER_NODES: entry }), [])
      assert.deepEqual(problemsOf({ REDIS_SENTINELS: entry }), [])
    })
  }

  for (const [entry, says] of [
    ['redis://me:hunter2@h:7000', 'a user or password'],
    ['redis://:hunter2@h', 'a user or password'],
    ['redis://h?password=hunter2', 'a user or password'],
    ['me:hunter2@h:7000', 'a user or password'],
    ['redis://h/1', 'a database'],
    ['unix:///run/hunter2.sock', 'a socket'],
    ['http://hunter2@h', 'scheme'],
    ['redis://h:70000', 'its port'],
  ] as const) {
    it(`is refused when it is ${entry}, without its text, with the settings to use`, () => {
      const [cluster, ...none] = problemsOf({ REDIS_CLUSTER_NODES: `a:1,${entry}` })
      const [sentinel, ...nothing] = problemsOf({ REDIS_SENTINELS: `a:1,${entry}` })
      assert.deepEqual([none, nothing], [[], []])
      for (const problem of [cluster!, sentinel!]) {
        assert.match(problem, /^REDIS_(CLUSTER_NODES|SENTINELS): entry 2 /)
        assert.ok(problem.includes(says) && !problem.includes('hunter2'), problem)
      }
      if (says !== 'a user or password') return
      assert.match(cluster!, /REDIS_USERNAME and REDIS_PASSWORD/)
      assert.match(sentinel!, /REDIS_SENTINEL_USERNAME and REDIS_SENTINEL_PASSWORD/)
    })
  }

  it('is refused when the entries or REDIS_URL disagree about TLS', () => {
    assertProblem({ REDIS_CLUSTER_NODES: 'redis://a,rediss://b' }, 'REDIS_CLUSTER_NODES: some entries are redis://')
    assertProblem({ REDIS_SENTINELS: 'redis://a,rediss://b' }, 'REDIS_SENTINELS: some entries are redis://')
    const url = { REDIS_URL: 'rediss://any' }
    assertProblem({ ...url, REDIS_CLUSTER_NODES: 'redis://a' }, 'REDIS_CLUSTER_NODES: an entry is redis://')
    assert.deepEqual(problemsOf({ ...url, REDIS_CLUSTER_NODES: 'a:1,rediss://b' }), [])
  })
})

describe('REDIS_ADDRESS_MAP', () => {
  it('maps a host with its port, before the host alone', () => {
    const reachable = reachableBy(['10.0.0.5:6379=nat.test:7001', '10.0.0.5=nat.test', 'Node-1=::1', '[::2]:1=b:2'])
    assert.deepEqual(reachable({ host: '10.0.0.5', port: 6379 }), { host: 'nat.test', port: 7001 })
    assert.deepEqual(reachable({ host: '10.0.0.5', port: 6380 }), { host: 'nat.test', port: 6380 })
    assert.deepEqual(reachable({ host: 'node-1', port: 1 }), { host: '::1', port: 1 })
    assert.deepEqual(reachable({ host: '::2', port: 1 }), { host: 'b', port: 2 })
    assert.deepEqual(reachable({ host: '10.0.0.6', port: 6379 }), { host: '10.0.0.6', port: 6379 })
  })

  const nodes = { REDIS_CLUSTER_NODES: 'a:1' }
  for (const entry of ['a', 'a=', 'a=b=c', 'a:0=b', 'a=b:1', 'a:1=b:70000', 'redis://a=b', '[x]=b'])
    it(`refuses ${entry}`, () =>
      assertProblem({ ...nodes, REDIS_ADDRESS_MAP: entry }, /^REDIS_ADDRESS_MAP: ".* is not/))

  it('refuses the same address twice, and to stand beside REDIS_URL alone', () => {
    assertProblem({ ...nodes, REDIS_ADDRESS_MAP: 'a=b,A=c' }, 'REDIS_ADDRESS_MAP: "A=c" maps an address a second time')
    assertProblem({ REDIS_URL: 'redis://a', REDIS_ADDRESS_MAP: 'a=b' }, 'REDIS_ADDRESS_MAP: needs REDIS_SENTINELS')
  })
})
