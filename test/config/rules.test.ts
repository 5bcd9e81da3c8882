import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { assertProblem, problemsOf } from '../support/config.ts'

const TWO_NODES = '127.0.0.1:7001,127.0.0.1:7002'

describe('settings that contradict each other', () => {
  for (const [claim, env, name, ...says] of [
    ['production without a Redis', { NODE_ENV: 'production' }, 'REDIS_URL', 'NODE_ENV=production'],
    [
      'a reconnect grace for reusable tokens',
      { AUTH_TOKEN_MODE: 'reusable', AUTH_RECONNECT_GRACE: '30s' },
      'AUTH_RECONNECT_GRACE',
    ],
    ['a pong timeout of one ping interval', { PONG_TIMEOUT: '25s' }, 'PONG_TIMEOUT', 'PING_INTERVAL'],
    ['the same for runs', { RUN_PONG_TIMEOUT: '5s' }, 'RUN_PONG_TIMEOUT', 'RUN_PING_INTERVAL'],
    ['a drain delay of the whole grace period', { DRAIN_DELAY: '30s' }, 'DRAIN_DELAY', 'SHUTDOWN_GRACE_PERIOD'],
    ['two listeners on one port', { LISTEN_ADDR: ':9000', ADMIN_PORT: '9000' }, 'ADMIN_PORT', 'LISTEN_ADDR'],
    [
      'Sentinels with a cluster',
      { REDIS_SENTINELS: TWO_NODES, REDIS_CLUSTER_NODES: TWO_NODES },
      'REDIS_SENTINELS',
      'REDIS_CLUSTER_NODES',
    ],
    [
      'sharded pub/sub without a cluster',
      { REDIS_SHARDED_PUBSUB: 'true' },
      'REDIS_SHARDED_PUBSUB',
      'REDIS_CLUSTER_NODES',
    ],
    [
      'a database other than 0 in a cluster',
      { REDIS_CLUSTER_NODES: TWO_NODES, REDIS_URL: 'redis://127.0.0.1/1' },
      'REDIS_URL',
      'database 0',
    ],
    ['a key prefix without a colon', { REDIS_KEY_PREFIX: 'staging' }, 'REDIS_KEY_PREFIX', '"staging"', 'staging:'],
    ['a key prefix that is one of our own names', { REDIS_KEY_PREFIX: 'session:' }, 'REDIS_KEY_PREFIX', 'session:'],
    ['a run prefix that no run id can have', { RUN_KEY_PREFIX: 'run:' }, 'RUN_KEY_PREFIX', '"run:"'],
    ['workers behind PROXY protocol', { WORKERS: '2', TRUST_PROXY: 'proxy-protocol' }, 'WORKERS', 'must be 1'],
    [
      'a short fleet secret in production',
      { NODE_ENV: 'production', REDIS_URL: 'redis://a', FLEET_SECRET: `${'x'.repeat(32)} ${'y'.repeat(31)}` },
      'FLEET_SECRET',
      '32 characters',
    ],
    ['a short secret of JWTs', { AUTH_JWT_SECRET: `${'x'.repeat(32)} ${'y'.repeat(31)}` }, 'AUTH_JWT_SECRET', 'has 31'],
    [
      'a well-known secret of JWTs in production',
      { NODE_ENV: 'production', REDIS_URL: 'redis://a', JWT_SECRET: 'a-string-secret-at-least-256-bits-long' },
      'AUTH_JWT_SECRET',
      'the value of an example',
    ],
    ['logins without a secret that signs', { AUTH_LOGIN: 'true' }, 'AUTH_LOGIN', 'AUTH_JWT_SECRET'],
    ['an admin without a password', { DEFAULT_ADMIN_EMAIL: 'a@example.org' }, 'DEFAULT_ADMIN_PASSWORD'],
    [
      'an admin without an address',
      { DEFAULT_ADMIN_EMAIL: 'admin', DEFAULT_ADMIN_PASSWORD: 'a fine pass word' },
      'DEFAULT_ADMIN_EMAIL',
      '"admin"',
    ],
    [
      'a short password of the admin',
      { DEFAULT_ADMIN_EMAIL: 'a@example.org', DEFAULT_ADMIN_PASSWORD: '1234567' },
      'DEFAULT_ADMIN_PASSWORD',
      '8 characters',
    ],
    [
      'the well-known password of the admin in production',
      {
        NODE_ENV: 'production',
        REDIS_URL: 'redis://a',
        DEFAULT_ADMIN_EMAIL: 'a@example.org',
        DEFAULT_ADMIN_PASSWORD: 'AdminPassword123!',
      },
      'DEFAULT_ADMIN_PASSWORD',
      'the value of an example',
    ],
    ['required authentication without a token', { WS_AUTH_REQUIRED: 'true' }, 'WS_AUTH_TOKEN', 'WS_AUTH_REQUIRED=true'],
  ] as [string, Record<string, string>, string, ...string[]][]) {
    it(`are reported: ${claim}`, () => assertProblem(env, new RegExp(`^${name}: `), ...says))
  }

  it('are not reported just inside the limit', () => {
    assert.deepEqual(problemsOf({ NODE_ENV: 'production', REDIS_URL: 'redis://127.0.0.1' }), [])
    assert.deepEqual(problemsOf({ NODE_ENV: 'production', REDIS_SENTINELS: TWO_NODES }), [])
    assert.deepEqual(problemsOf({ PONG_TIMEOUT: '25001ms', DRAIN_DELAY: '29999ms' }), [])
    assert.deepEqual(problemsOf({ REDIS_CLUSTER_NODES: TWO_NODES, REDIS_URL: 'redis://127.0.0.1/0' }), [])
  })

  it('are not reported when one of them is invalid in itself, which is reported already', () => {
    assertProblem({ NODE_ENV: 'production', REDIS_URL: 'nothing' }, /^REDIS_URL: must be redis:/)
    assertProblem({ REDIS_SHARDED_PUBSUB: 'maybe' }, /^REDIS_SHARDED_PUBSUB: must be true or false/)
  })
})

describe('an entry of a list', () => {
  it('is reported when it cannot be used', () => {
    assertProblem({ REDIS_SENTINELS: 'a.test:1,a.test' }, 'REDIS_SENTINELS: "a.test" is not host:port')
    assertProblem({ REDIS_CLUSTER_NODES: ':7001' }, 'REDIS_CLUSTER_NODES: ":7001" is not host:port')
    assertProblem({ ALLOWED_ORIGINS: 'https://a.test,https://xn--0' }, 'ALLOWED_ORIGINS: "https://xn--0" matches no')
    assertProblem({ LIVE_TOPICS: 'good.*,x:y' }, 'LIVE_TOPICS: "x:y" is not a topic')
  })

  it('is not quoted when it could hold a password', () => {
    const [problem] = problemsOf({ PREFLIGHT_HTTP_DEPENDENCIES: 'http://u:hunter2@a.test' })
    assert.match(problem!, /^PREFLIGHT_HTTP_DEPENDENCIES: .*without credentials$/)
  })
})
