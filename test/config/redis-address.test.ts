import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { loadConfig } from '../../src/config/load.ts'
import { parseRedisAddress, type RedisAddress, redisAddressOf, redisUrlOf } from '../../src/config/redis-address.ts'
import { assertProblem, problemsOf } from '../support/config.ts'
import { assertProperty } from '../support/property.ts'

const PLAIN: RedisAddress = {
  host: 'h',
  port: 6379,
  tls: false,
  username: undefined,
  password: undefined,
  database: 0,
}
/** As long as the tokens that cloud providers give as passwords, with their characters. */
const LONG = `cluster-1/?Action=connect&User=me&X-Amz-Security-Token=${'aB3%2F+'.repeat(200)}==`

describe('REDIS_URL', () => {
  for (const [text, differs] of [
    ['redis://h', {}],
    [' redis://h\n', {}],
    ['REDIS://h:', {}],
    ['redis://h/', {}],
    ['redis://h:7000/0', { port: 7000 }],
    ['rediss://h:7000', { port: 7000, tls: true }],
    ['rediss://10.0.0.1', { host: '10.0.0.1', tls: true }],
    ['redis://[::1]:7000/2', { host: '::1', port: 7000, database: 2 }],
    ['redis://[fe80::1%25eth0]', { host: 'fe80::1%eth0' }],
    ['redis://h/3', { database: 3 }],
    ['redis://h?db=3', { database: 3 }],
    ['redis://h/?db=3', { database: 3 }],
    ['redis://h/3?db=3', { database: 3 }],
    ['redis://u@h', { username: 'u' }],
    ['redis://u:@h', { username: 'u' }],
    ['redis://:@h', {}],
    ['redis://:p@h', { password: 'p' }],
    ['redis://u:p:q@h', { username: 'u', password: 'p:q' }],
    ['redis://u:p@q@h', { username: 'u', password: 'p@q' }],
    ['redis://a%40b:p%2Fq%3F%23%40%25@h', { username: 'a@b', password: 'p/q?#@%' }],
    ['redis://:%C3%A9@h', { password: 'é' }],
    ['redis://h?username=u&password=p%26q', { username: 'u', password: 'p&q' }],
    ['redis://h?protocol=3', {}],
    [`redis://u:${encodeURIComponent(LONG)}@h`, { username: 'u', password: LONG }],
    ['unix:/run/redis.sock', { host: 'localhost', path: '/run/redis.sock' }],
    ['unix:///run/a%20b.sock?db=2', { host: 'localhost', path: '/run/a b.sock', database: 2 }],
    ['unix://u:p@/run/redis@1', { host: 'localhost', path: '/run/redis@1', username: 'u', password: 'p' }],
    ['redis+unix:///run/r?password=p', { host: 'localhost', path: '/run/r', password: 'p' }],
  ] as const) {
    it(`of the form ${text.trim().slice(0, 60)} is understood`, () => {
      assert.deepEqual(parseRedisAddress(text), { address: { ...PLAIN, ...differs } })
      assert.deepEqual(problemsOf({ REDIS_URL: text }), [])
    })
  }

  for (const [text, part] of [
    ['h:6379', 'scheme'],
    ['http://hunter2@h', 'scheme'],
    ['redis:h', '// is missing'],
    ['redis-sentinel://h:26379/mymaster', 'REDIS_SENTINELS'],
    ['redis+cluster://h', 'REDIS_CLUSTER_NODES'],
    ['redis://a:1,b:2', 'REDIS_SENTINELS'],
    ['redis://a,b', 'REDIS_CLUSTER_NODES'],
    ['redis://', 'no host'],
    ['redis://:6379', 'no host'],
    ['redis:///3', 'no host'],
    ['redis://::1', 'brackets'],
    ['redis://::1:6379', 'brackets'],
    ['redis://a:1:2', 'port'],
    ['redis://[h]', 'IPv6'],
    ['redis://h:0', 'port'],
    ['redis://h:65536', 'port'],
    ['redis://h:hunter2', 'port'],
    ['redis://h/hunter2', 'database'],
    ['redis://h/-1', 'database'],
    ['redis://h/0/1', 'database'],
    ['redis://h?db=hunter2', '?db='],
    ['redis://h/0?db=3', 'two databases'],
    ['redis://h?db=1&db=2', 'twice'],
    ['redis://h?ssl_cert_reqs=hunter2', '?ssl_cert_reqs= is not read'],
    ['redis://h?protocol=2', '?protocol='],
    ['redis://h#hunter2', '#'],
    ['redis://:a/hunter2@h', 'percent-encoded'],
    ['redis://:a?hunter2@h', 'percent-encoded'],
    ['redis://:a#hunter2@h', 'percent-encoded'],
    ['redis://:hunter2%@h', 'password has a %'],
    ['redis://hunter2%zz@h', 'user has a %'],
    ['redis://:%E9@h', 'password is not UTF-8'],
    ['redis://%E9@h', 'user is not UTF-8'],
    ['redis://h?password=%E9', '?password= is not UTF-8'],
    ['redis://u:hunter2@h?password=hunter3', 'another one in ?password='],
    ['redis://h h', 'host'],
    ['unix:run/redis.sock', 'absolute path'],
    ['unix://run/redis.sock', 'absolute path'],
    ['unix:/run/', 'absolute path'],
    ['unix:', 'absolute path'],
  ] as const) {
    it(`of the form ${text} is refused with one line that names the part and no value`, () => {
      assertProblem({ REDIS_URL: text }, /^REDIS_URL: must be redis:/, part)
      assert.doesNotMatch(problemsOf({ REDIS_URL: text }).join(), /hunter\d|E9/)
    })
  }

  it('is written so that it can be read back, whatever its user and password are', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1 })
    const address = fc.record({
      place: fc.constantFrom({ host: 'h' }, { host: '::1' }, { host: 'localhost', path: '/run/a b?#%.sock' }),
      username: fc.option(text, { nil: undefined }),
      password: fc.option(text, { nil: undefined }),
      database: fc.nat(20),
    })
    assertProperty(
      fc.property(address, ({ place, ...rest }) => {
        const whole = { ...PLAIN, ...place, ...rest }
        assert.deepEqual(redisAddressOf(redisUrlOf(whole)), whole)
      }),
    )
  })
})

describe('the parts of a Redis address', () => {
  it('complete the path of a socket', () => {
    const { config } = loadConfig({ REDIS_URL: 'unix:/run/1', REDIS_PASSWORD: 'a b', REDIS_DB: '2' })
    assert.equal(config.redisUrl, 'unix:/run/1?db=2&password=a%20b')
  })

  it('do not replace a database of the query', () => {
    assert.equal(loadConfig({ REDIS_URL: 'redis://h?db=1', REDIS_DB: '2' }).config.redisUrl, 'redis://h?db=1')
  })
})
