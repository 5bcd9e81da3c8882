import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import { type Config, settings } from '../../src/config/table.ts'
import { assertProblem, problemsOf } from '../support/config.ts'

const KEYS = Object.keys(settings) as (keyof Config)[]
const MB = 1024 ** 2

describe('loadConfig', () => {
  it('returns the defaults when nothing is set', () => {
    const { config, sources, given } = loadConfig({})
    const expected: Partial<Config> = {
      nodeEnv: 'development',
      listenAddr: { host: '127.0.0.1', port: 8080 },
      adminPort: undefined,
      redisUrl: undefined,
      logLevel: 'info',
      handshakeTimeoutMs: 5000,
      authTokenMode: 'single-use',
      authReconnectGraceMs: 0,
      authAllowQueryToken: false,
      allowedOrigins: [],
      requireOrigin: false,
      trustProxy: 'none',
      sessionUpstream: true,
      streamEndTimeoutMs: 60_000,
      sessionIdleTimeoutMs: 0,
      maxMessageBytes: undefined,
      sessionRate: 1000,
      sessionRateBurst: 2000,
      sessionByteRateBytes: 8 * 1024 * 1024,
      maxBufferBytes: MB,
      maxDownMessageBytes: 10 * MB,
      maxBufferedBytes: undefined,
      slowCloseGraceMs: 5000,
      pingIntervalMs: 25_000,
      pongTimeoutMs: 50_000,
      maxConnections: undefined,
      maxConnectionsPerIp: 0,
      connectRate: 2000,
      connectRatePerIp: 500,
      upstreamBufferMessages: 1000,
      upstreamBufferBytes: 64 * MB,
      shutdownGracePeriodMs: 30_000,
      drainWindowMs: 10_000,
      drainDelayMs: 0,
    }
    for (const [key, value] of Object.entries(expected)) assert.deepEqual(config[key as keyof Config], value, key)
    assert.deepEqual(new Set(Object.values(sources)), new Set(['default']))
    assert.deepEqual(given, {})
  })

  it('reads each kind of setting from the environment', () => {
    const { config } = loadConfig({
      NODE_ENV: 'test',
      LISTEN_ADDR: '[::1]:9000',
      ADMIN_PORT: '9001',
      REDIS_URL: 'rediss://user:pw@redis.example.org:6380/2',
      HANDSHAKE_TIMEOUT: '250ms',
      AUTH_ALLOW_QUERY_TOKEN: 'true',
      SESSION_UPSTREAM: 'false',
      ALLOWED_ORIGINS: ' https://a.example.org, *.example.com ,,b.example.org ',
      TRUST_PROXY: 'x-forwarded-for',
      MAX_MESSAGE_SIZE: '2MiB',
      SESSION_RATE: '0',
    })
    assert.equal(config.nodeEnv, 'test')
    assert.deepEqual(config.listenAddr, { host: '::1', port: 9000 })
    assert.equal(config.adminPort, 9001)
    assert.equal(config.redisUrl, 'rediss://user:pw@redis.example.org:6380/2')
    assert.equal(config.handshakeTimeoutMs, 250)
    assert.equal(config.authAllowQueryToken, true)
    assert.equal(config.sessionUpstream, false)
    assert.deepEqual(config.allowedOrigins, ['https://a.example.org', '*.example.com', 'b.example.org'])
    assert.equal(config.trustProxy, 'x-forwarded-for')
    assert.equal(config.maxMessageBytes, 2 * MB)
    assert.equal(config.sessionRate, 0)
  })

  it('returns a configuration that cannot be changed', () => {
    const { config } = loadConfig({ ALLOWED_ORIGINS: 'a' })
    assert.throws(() => {
      ;(config as { sessionRate: number }).sessionRate = 1
    }, TypeError)
    assert.throws(() => (config.allowedOrigins as string[]).push('b'), TypeError)
  })

  for (const key of KEYS) {
    const { env } = settings[key]
    it(`reads WSPROXY_${env} before ${env} and ignores either when it is empty`, () => {
      const [own, prefixed, plain] = sampleOf(key)
      const both = loadConfig({ [env]: plain, [`WSPROXY_${env}`]: prefixed, ...own })
      assert.equal(both.sources[key], `WSPROXY_${env}`)
      assert.equal(both.given[env], prefixed)
      assert.deepEqual(both.config[key], loadConfig({ [env]: prefixed, ...own }).config[key])
      assert.notDeepEqual(both.config[key], loadConfig({ [env]: plain, ...own }).config[key])

      const empty = loadConfig({ [env]: plain, [`WSPROXY_${env}`]: '', ...own })
      assert.equal(empty.sources[key], env)
      // A certificate and its key are set together or not at all, as are address and password.
      if (/TLS_(CERT|KEY)$|^DEFAULT_ADMIN_/.test(env))
        return assertProblem({ [env]: '', ...own }, `${env}: must be set`)
      const none = loadConfig({ [env]: '', ...own })
      assert.equal(none.sources[key], 'default')
      assert.deepEqual(none.config[key], loadConfig({ ...own }).config[key])
    })
  }
})

/** The settings that must be set with this one, and two values that differ. */
function sampleOf(key: keyof Config): [Record<string, string>, string, string] {
  const { env, kind, choices } = settings[key]
  if (key === 'nodeEnv') return [{ REDIS_URL: 'redis://127.0.0.1' }, 'test', 'production']
  if (['redisSentinels', 'redisClusterNodes'].includes(key)) return [{}, 'a.example.org:1', 'b.example.org:2']
  if (key === 'redisAddressMap') return [{ REDIS_SENTINELS: 'a.example.org:1' }, 'a=b', 'a:1=b:2']
  if (key === 'wsAuthRequired') return [{ WS_AUTH_TOKEN: 'token' }, 'true', 'false']
  if (key === 'adminToken') return [{}, 'one-one-one-one-one', 'two-two-two-two-two']
  if (key === 'authJwtSecret') return [{}, 'one-'.repeat(8), 'two-'.repeat(8)]
  if (key === 'redisShardedPubsub') return [{ REDIS_CLUSTER_NODES: 'a.example.org:1' }, 'true', 'false']
  if (key === 'authJwtRoleClaim') return [{ AUTH_JWT_AUDIENCE: 'desk' }, 'role', 'roles']
  if (key === 'authLogin') return [{ AUTH_JWT_SECRET: 'one-'.repeat(8) }, 'true', 'false']
  if (key === 'authAccessTtlMs' || key === 'authRefreshTtlMs') return [{}, '10m', '20m']
  if (key === 'defaultAdminEmail')
    return [{ DEFAULT_ADMIN_PASSWORD: 'a long password' }, 'a@example.org', 'b@example.org']
  if (key === 'defaultAdminPassword')
    return [{ DEFAULT_ADMIN_EMAIL: 'a@example.org' }, 'long password', 'longer password']
  if (key === 'liveTopicRoles')
    return [{ WS_AUTH_REQUIRED: 'true', WS_AUTH_TOKEN: 'token' }, 'alerts:operator', 'audit.*:admin']
  if (key === 'authJwksUrl') return [{}, 'https://a.example.org/jwks', 'http://127.0.0.1:8081/jwks']
  if (key === 'preflightHttpDependencies') return [{}, 'http://a.example.org/', 'https://b.example.org/x']
  if (key === 'trustProxyCidr') return [{}, '10.0.0.0/8', '192.0.2.1']
  if (key === 'redisKeyPrefix') return [{}, 'one:', 'other:']
  if (key === 'preflightRetentionMs') return [{}, '1d', '2d']
  if (env.endsWith('PONG_TIMEOUT')) return [{}, '70s', '80s']
  if (key === 'tlsCert') return [{ TLS_KEY: 'key' }, 'one', 'other']
  if (key === 'tlsKey') return [{ TLS_CERT: 'cert' }, 'one', 'other']
  if (key === 'redisTlsCert') return [{ REDIS_TLS_KEY: 'key' }, 'one', 'other']
  if (key === 'redisTlsKey') return [{ REDIS_TLS_CERT: 'cert' }, 'one', 'other']
  if (key === 'runPath') return [{}, '/a/', '/b/']
  if (key === 'livePath') return [{}, '/a', '/b']
  if (key === 'metricsAliases') return [{}, 'preflight2', 'preflight']
  if (key === 'port') return [{}, '1', '2']
  const [first, second] = choices
  if (first !== undefined && second !== undefined) return [{}, first, second]
  const samples: Record<string, [string, string]> = {
    string: ['one', 'other'],
    integer: ['11', '22'],
    integerOrAuto: ['2', 'auto'],
    duration: ['1s', '2s'],
    size: ['2KB', '3KB'],
    list: ['a.example.org', 'b.example.org'],
    address: ['127.0.0.1:1', '127.0.0.1:2'],
    redisUrl: ['redis://one', 'redis://two'],
    httpUrl: ['http://one:4318', 'https://two/otlp'],
  }
  return [{}, ...(samples[kind] ?? assert.fail(`no sample for ${kind}`))]
}

describe('an invalid value', () => {
  for (const [env, value, says] of [
    ['NODE_ENV', 'staging', 'production, development, test'],
    ['LOG_LEVEL', 'loud', 'trace, debug, info'],
    ['AUTH_TOKEN_MODE', 'none', 'single-use, reusable'],
    ['TRUST_PROXY', 'true', 'x-forwarded-for'],
    ['LISTEN_ADDR', '8080', 'host:port'],
    ['LISTEN_ADDR', '127.0.0.1', 'host:port'],
    ['LISTEN_ADDR', '127.0.0.1:65536', 'host:port with a port up to 65535'],
    ['LISTEN_ADDR', '127.0.0.1:http', 'host:port'],
    ['LISTEN_ADDR', '::1:8080', 'host:port'],
    ['ADMIN_PORT', '0', '1'],
    ['WORKERS', '0', 'at least 1'],
    ['WORKERS', '65', 'at most 64'],
    ['WORKERS', 'all', 'an integer, or auto'],
    ['ADMIN_PORT', '65536', '65535'],
    ['ADMIN_PORT', '80a', 'integer'],
    ['MAX_CONNECTIONS', '0', '1'],
    ['MAX_CONNECTIONS', '-1', '1'],
    ['MAX_CONNECTIONS', '1.5', 'integer'],
    ['MAX_CONNECTIONS', 'Infinity', ''],
    ['MAX_CONNECTIONS_PER_IP', '-1', '0'],
    ['CONNECT_RATE', '-1', '0'],
    ['CONNECT_RATE_PER_IP', 'many', 'integer'],
    ['SESSION_RATE', '-5', '0'],
    ['SESSION_RATE_BURST', '0', '1'],
    ['UPSTREAM_BUFFER_MESSAGES', '-1', '0'],
    ['AUTH_ALLOW_QUERY_TOKEN', 'maybe', 'true or false'],
    ['REQUIRE_ORIGIN', '2', 'true or false'],
    ['SESSION_UPSTREAM', 'disabled', 'true or false'],
    ['HANDSHAKE_TIMEOUT', '9ms', 'at least 10ms'],
    ['HANDSHAKE_TIMEOUT', '5 seconds', '1m30s'],
    ['HANDSHAKE_TIMEOUT', '25d', 'at most'],
    ['PING_INTERVAL', '99ms', 'at least 100ms'],
    ['SHUTDOWN_GRACE_PERIOD', '99ms', 'at least 100ms'],
    ['STREAM_END_TIMEOUT', '-1', 'a duration'],
    ['SESSION_IDLE_TIMEOUT', 'never', 'a duration'],
    ['SLOW_CLOSE_GRACE', '5 s', 'a duration'],
    ['DRAIN_WINDOW', '1w', 'a duration'],
    ['AUTH_RECONNECT_GRACE', '30 s', 'a duration'],
    ['MAX_MESSAGE_SIZE', '0', 'at least 1 ('],
    ['MAX_MESSAGE_SIZE', '65MB', 'at most'],
    ['SSE_TICKET_TTL', '25h', 'at most'],
    ['MAX_MESSAGE_SIZE', '1TB', '10MiB'],
    ['MAX_BUFFER_SIZE_BYTES', '1023', 'at least 1KiB'],
    ['UPSTREAM_BUFFER_BYTES', '-1', 'a size'],
    ['PREFLIGHT_CHECK_TIMEOUT', '9ms', 'at least 10ms'],
    ['PREFLIGHT_RETENTION', '59m', 'at least'],
    ['PREFLIGHT_RETENTION', '367d', 'at most'],
    ['AUTH_JWKS_URL', 'http://id.example.org/jwks', 'https://'],
    ['AUTH_JWKS_URL', 'https://user:pw@id.example.org/jwks', 'without credentials'],
    ['AUTH_JWKS_URL', 'http://127.0.0.1.example.org/jwks', 'https://'],
    ['PREFLIGHT_HTTP_DEPENDENCIES', 'a.example.org', 'http://'],
    ['PREFLIGHT_HTTP_DEPENDENCIES', 'http://a.example.org,ftp://b.example.org', 'http://'],
    ['REDIS_URL', 'localhost:6379', 'redis://'],
    ['REDIS_URL', 'http://localhost', 'redis://'],
    ['REDIS_URL', 'redis://', 'redis://'],
    ['REDIS_URL', 'redis://localhost/zero', 'redis://'],
    ['REDIS_URL', 'redis://:%zz@localhost', 'redis://'],
  ] as const) {
    it(`is reported in one line: ${env}=${value}`, () => {
      assertProblem({ [env]: value }, new RegExp(`^${env}: `), says, /^.*$/)
    })
  }

  it('is quoted in its problem', () => {
    assertProblem({ SESSION_RATE: 'a"b' }, 'SESSION_RATE', '"a\\"b"')
    assertProblem({ PING_INTERVAL: 'soon' }, '"soon"')
  })

  it('is reported in one line even when it contains a line break', () => {
    const [problem] = problemsOf({ SESSION_RATE: 'a\nb' })
    assert.doesNotMatch(problem!, /\n/)
  })

  it('is only one beyond the bounds: the bounds themselves are accepted', () => {
    const env = {
      ADMIN_PORT: '65535',
      MAX_CONNECTIONS: '1',
      HANDSHAKE_TIMEOUT: '10ms',
      PING_INTERVAL: '100ms',
      PONG_TIMEOUT: '200ms',
      SHUTDOWN_GRACE_PERIOD: '100ms',
      MAX_MESSAGE_SIZE: '64MiB',
      MAX_BUFFER_SIZE_BYTES: '1KiB',
      STREAM_END_TIMEOUT: '24d',
      SESSION_RATE_BURST: '1',
    }
    assert.deepEqual(problemsOf(env), [])
    assertProblem({ PING_INTERVAL: '100ms', PONG_TIMEOUT: '199ms' }, /^PONG_TIMEOUT: .*200ms/)
  })
})

describe('an environment', () => {
  it('with an unknown WSPROXY_ name is rejected', () => {
    assertProblem({ WSPROXY_SESION_RATE: '1' }, /^WSPROXY_SESION_RATE: /)
    assertProblem({ WSPROXY_: '' }, /^WSPROXY_: /)
  })

  it('may contain any other name, and the token of the client', () => {
    assert.deepEqual(problemsOf({ PATH: '/bin', SESION_RATE: '1', WSPROXY_TOKEN: 'secret', MY_WSPROXY_X: '1' }), [])
  })

  it('has all its problems reported together, one line each', () => {
    const problems = problemsOf({
      WSPROXY_NOPE: '1',
      ADMIN_PORT: 'x',
      MAX_MESSAGE_SIZE: '1XB',
      LOG_LEVEL: 'loud',
      NODE_ENV: 'production',
      DRAIN_DELAY: '1h',
      REDIS_URL: 'nothing',
    })
    const names = problems.map((each) => each.slice(0, each.indexOf(':'))).sort()
    assert.deepEqual(names, ['ADMIN_PORT', 'DRAIN_DELAY', 'LOG_LEVEL', 'MAX_MESSAGE_SIZE', 'REDIS_URL', 'WSPROXY_NOPE'])
    for (const each of problems) assert.doesNotMatch(each, /\n/)
  })

  it('is rejected for an invalid prefixed variable even when the plain one is valid', () => {
    const [problem, ...more] = problemsOf({ WSPROXY_SESSION_RATE: 'x', SESSION_RATE: '5' })
    assert.match(problem!, /SESSION_RATE: /)
    assert.deepEqual(more, [])
  })
})
