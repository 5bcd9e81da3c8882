import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  type Config,
  ConfigError,
  describeSettings,
  loadConfig,
  parseDuration,
  parseSize,
} from '../../src/config/load.ts'
import { settings } from '../../src/config/table.ts'
import { assertProperty } from '../support/property.ts'

const KEYS = Object.keys(settings) as (keyof Config)[]
const MB = 1024 ** 2

/** The problems of an environment; none when it is fine. */
function problemsOf(env: Record<string, string>): readonly string[] {
  try {
    loadConfig(env)
    return []
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error))
    assert.equal(error.message, error.problems.join('\n'))
    return error.problems
  }
}

/** There is one problem, and its line says these things. */
function assertProblem(env: Record<string, string>, ...says: (string | RegExp)[]): void {
  const problems = problemsOf(env)
  assert.equal(problems.length, 1, `${JSON.stringify(env)}: ${JSON.stringify(problems)}`)
  for (const each of says) {
    assert.ok(typeof each === 'string' ? problems[0]!.includes(each) : each.test(problems[0]!), problems[0])
  }
}

describe('a duration', () => {
  for (const [text, ms] of [
    ['500ms', 500],
    ['5s', 5000],
    ['2m', 120_000],
    ['1h', 3_600_000],
    ['1d', 86_400_000],
    ['5', 5000],
    ['0', 0],
    ['0.5', 500],
    ['1.5s', 1500],
    ['1m30s', 90_000],
    ['1h30m', 5_400_000],
    ['1s500ms', 1500],
  ] as const) {
    it(`reads ${text} as ${ms} ms`, () => assert.equal(parseDuration(text), ms))
  }

  for (const text of [
    '',
    ' ',
    's',
    '5 s',
    '-5s',
    '-1',
    '5x',
    '5sec',
    '1e3',
    'five',
    '5,5s',
    '.5s',
    '5.',
    '0x10',
    'NaN',
    'Infinity',
    '5S',
    '1m30',
    '5s\n',
  ]) {
    it(`does not take ${JSON.stringify(text)}`, () => assert.equal(parseDuration(text), undefined))
  }

  it('is the sum of its parts', () => {
    assertProperty(
      fc.property(fc.nat(23), fc.nat(59), fc.nat(59), fc.nat(999), (h, m, s, ms) => {
        assert.equal(parseDuration(`${h}h${m}m${s}s${ms}ms`), ((h * 60 + m) * 60 + s) * 1000 + ms)
      }),
    )
  })
})

describe('a size', () => {
  for (const [text, bytes] of [
    ['0', 0],
    ['1000', 1000],
    ['64KB', 65_536],
    ['64KiB', 65_536],
    ['64K', 65_536],
    ['64 KB', 65_536],
    ['10MiB', 10 * MB],
    ['10mb', 10 * MB],
    ['1GB', 1024 * MB],
    ['1.5KB', 1536],
    ['512B', 512],
  ] as const) {
    it(`reads ${text} as ${bytes} bytes`, () => assert.equal(parseSize(text), bytes))
  }

  for (const text of ['', 'KB', '-1', '1e3', '1TB', '10 MiB B', 'ten', '1,5KB', '0x10', '5iB', '64  KB']) {
    it(`does not take ${JSON.stringify(text)}`, () => assert.equal(parseSize(text), undefined))
  }
})

describe('the settings', () => {
  it('have their defaults when nothing is set', () => {
    const { config, sources, given } = loadConfig({})
    const expected: Partial<Config> = {
      production: 'development',
      listen: { host: '127.0.0.1', port: 8080 },
      adminPort: undefined,
      redisUrl: undefined,
      logLevel: 'info',
      handshakeTimeoutMs: 5000,
      tokenMode: 'single-use',
      reconnectGraceMs: 0,
      allowQueryToken: false,
      allowedOrigins: [],
      requireOrigin: false,
      trustProxy: 'none',
      sessionUpstream: true,
      streamEndTimeoutMs: 60_000,
      sessionIdleTimeoutMs: 0,
      maxMessageBytes: undefined,
      sessionRate: 100,
      sessionRateBurst: 200,
      maxBufferBytes: 10 * MB,
      slowCloseGraceMs: 5000,
      pingIntervalMs: 25_000,
      pongTimeoutMs: 50_000,
      maxConnections: 50_000,
      maxConnectionsPerIp: 0,
      connectRate: 2000,
      connectRatePerIp: 50,
      upstreamBufferMessages: 1000,
      upstreamBufferBytes: 64 * MB,
      shutdownGraceMs: 30_000,
      drainWindowMs: 10_000,
      drainDelayMs: 0,
    }
    for (const [key, value] of Object.entries(expected)) assert.deepEqual(config[key as keyof Config], value, key)
    assert.deepEqual(new Set(Object.values(sources)), new Set(['default']))
    assert.deepEqual(given, {})
  })

  it('are read from the environment, each kind in its own way', () => {
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
    assert.equal(config.production, 'test')
    assert.deepEqual(config.listen, { host: '::1', port: 9000 })
    assert.equal(config.adminPort, 9001)
    assert.equal(config.redisUrl, 'rediss://user:pw@redis.example.org:6380/2')
    assert.equal(config.handshakeTimeoutMs, 250)
    assert.equal(config.allowQueryToken, true)
    assert.equal(config.sessionUpstream, false)
    assert.deepEqual(config.allowedOrigins, ['https://a.example.org', '*.example.com', 'b.example.org'])
    assert.equal(config.trustProxy, 'x-forwarded-for')
    assert.equal(config.maxMessageBytes, 2 * MB)
    assert.equal(config.sessionRate, 0)
  })

  it('cannot be changed', () => {
    const { config } = loadConfig({ ALLOWED_ORIGINS: 'a' })
    assert.throws(() => {
      ;(config as { sessionRate: number }).sessionRate = 1
    }, TypeError)
    assert.throws(() => (config.allowedOrigins as string[]).push('b'), TypeError)
  })

  it('listen on every address where none is named', () => {
    assert.deepEqual(loadConfig({ LISTEN_ADDR: ':8081' }).config.listen, { host: '0.0.0.0', port: 8081 })
    assert.deepEqual(loadConfig({ LISTEN_ADDR: 'localhost:0' }).config.listen, { host: 'localhost', port: 0 })
  })

  for (const key of KEYS) {
    const { env } = settings[key]
    it(`take WSPROXY_${env} before ${env}, and an empty one as not set`, () => {
      const [own, prefixed, plain] = sampleOf(key)
      const both = loadConfig({ [env]: plain, [`WSPROXY_${env}`]: prefixed, ...own })
      assert.equal(both.sources[key], `WSPROXY_${env}`)
      assert.equal(both.given[env], prefixed)
      assert.deepEqual(both.config[key], loadConfig({ [env]: prefixed, ...own }).config[key])
      assert.notDeepEqual(both.config[key], loadConfig({ [env]: plain, ...own }).config[key])

      const empty = loadConfig({ [env]: plain, [`WSPROXY_${env}`]: '', ...own })
      assert.equal(empty.sources[key], env)
      const none = loadConfig({ [env]: '', ...own })
      assert.equal(none.sources[key], 'default')
      assert.deepEqual(none.config[key], loadConfig({ ...own }).config[key])
    })
  }
})

/** What else must be set, and two values that differ. */
function sampleOf(key: keyof Config): [Record<string, string>, string, string] {
  const { env, kind, schema } = settings[key]
  if (key === 'production') return [{ REDIS_URL: 'redis://127.0.0.1' }, 'test', 'production']
  if (['sentinels', 'clusterNodes'].includes(key)) return [{}, 'a.example.org:1', 'b.example.org:2']
  if (key === 'wsAuthRequired') return [{ WS_AUTH_TOKEN: 'token' }, 'true', 'false']
  if (key === 'adminToken') return [{}, 'one-one-one-one-one', 'two-two-two-two-two']
  if (key === 'shardedPubSub') return [{ REDIS_CLUSTER_NODES: 'a.example.org:1' }, 'true', 'false']
  if (key === 'preflightHttpDependencies') return [{}, 'http://a.example.org/', 'https://b.example.org/x']
  if (key === 'preflightRetentionMs') return [{}, '1d', '2d']
  if (env.endsWith('PONG_TIMEOUT')) return [{}, '70s', '80s']
  if (key === 'otlpEndpoint') return [{}, 'http://one:4318', 'https://two/otlp']
  if (kind === 'string') {
    const [one = 'one', other = 'other'] = 'enum' in schema ? (schema.enum as string[]) : []
    return [{}, one, other]
  }
  const samples: Record<string, [string, string]> = {
    integer: ['11', '22'],
    boolean: ['true', 'false'],
    duration: ['1s', '2s'],
    size: ['2KB', '3KB'],
    list: ['a.example.org', 'b.example.org'],
    address: ['127.0.0.1:1', '127.0.0.1:2'],
    url: ['redis://one', 'redis://two'],
  }
  return [{}, ...(samples[kind] ?? assert.fail(`no sample for ${kind}`))]
}

describe('a bad value', () => {
  for (const [env, value, says] of [
    ['NODE_ENV', 'staging', 'production, development, test'],
    ['LOG_LEVEL', 'loud', 'trace, debug, info'],
    ['AUTH_TOKEN_MODE', 'none', 'single-use, reusable'],
    ['TRUST_PROXY', 'true', 'x-forwarded-for'],
    ['LISTEN_ADDR', '8080', 'host:port'],
    ['LISTEN_ADDR', '127.0.0.1', 'host:port'],
    ['LISTEN_ADDR', '127.0.0.1:65536', 'host:port'],
    ['LISTEN_ADDR', '127.0.0.1:http', 'host:port'],
    ['LISTEN_ADDR', '::1:8080', 'host:port'],
    ['ADMIN_PORT', '0', '1'],
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
    ['AUTH_ALLOW_QUERY_TOKEN', 'yes', 'boolean'],
    ['REQUIRE_ORIGIN', '1', 'boolean'],
    ['SESSION_UPSTREAM', 'off', 'boolean'],
    ['HANDSHAKE_TIMEOUT', '9ms', '10 ms'],
    ['HANDSHAKE_TIMEOUT', '5 seconds', '1m30s'],
    ['HANDSHAKE_TIMEOUT', '25d', 'at most'],
    ['PING_INTERVAL', '99ms', '100 ms'],
    ['SHUTDOWN_GRACE_PERIOD', '99ms', '100 ms'],
    ['STREAM_END_TIMEOUT', '-1', 'a duration'],
    ['SESSION_IDLE_TIMEOUT', 'never', 'a duration'],
    ['SLOW_CLOSE_GRACE', '5 s', 'a duration'],
    ['DRAIN_WINDOW', '1w', 'a duration'],
    ['AUTH_RECONNECT_GRACE', '30 s', 'a duration'],
    ['MAX_MESSAGE_SIZE', '0', 'at least 1 bytes'],
    ['MAX_MESSAGE_SIZE', '65MB', 'at most'],
    ['MAX_MESSAGE_SIZE', '1TB', '10MiB'],
    ['MAX_BUFFER_SIZE_BYTES', '1023', '1024 bytes'],
    ['UPSTREAM_BUFFER_BYTES', '-1', 'a size'],
    ['PREFLIGHT_CHECK_TIMEOUT', '9ms', '10 ms'],
    ['PREFLIGHT_RETENTION', '59m', 'at least'],
    ['PREFLIGHT_RETENTION', '367d', 'at most'],
    ['PREFLIGHT_HTTP_DEPENDENCIES', 'a.example.org', 'http://'],
    ['PREFLIGHT_HTTP_DEPENDENCIES', 'http://a.example.org,ftp://b.example.org', 'http://'],
    ['REDIS_URL', 'localhost:6379', 'redis://'],
    ['REDIS_URL', 'http://localhost', 'redis://'],
    ['REDIS_URL', 'redis://', 'redis://'],
    ['REDIS_URL', 'redis://localhost/zero', 'redis://'],
    ['REDIS_URL', 'redis://:%zz@localhost', 'redis://'],
  ] as const) {
    it(`is told in one line: ${env}=${value}`, () => {
      assertProblem({ [env]: value }, new RegExp(`^${env}: `), says, /^.*$/)
    })
  }

  it('is told with the value that it has', () => {
    assertProblem({ SESSION_RATE: 'a"b' }, 'SESSION_RATE', '"a\\"b"')
    assertProblem({ PING_INTERVAL: 'soon' }, '"soon"')
  })

  it('is told by a line of its own also when the value has several', () => {
    const [problem] = problemsOf({ SESSION_RATE: 'a\nb' })
    assert.doesNotMatch(problem!, /\n/)
  })

  it('is accepted at its bounds', () => {
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
    assertProblem({ PING_INTERVAL: '100ms', PONG_TIMEOUT: '199ms' }, /^PONG_TIMEOUT: .*200 ms/)
  })
})

describe('the environment', () => {
  it('may hold no unknown WSPROXY_ name', () => {
    assertProblem({ WSPROXY_SESION_RATE: '1' }, /^WSPROXY_SESION_RATE: /)
    assertProblem({ WSPROXY_: '' }, /^WSPROXY_: /)
  })

  it('may hold any other name, and the token of the client', () => {
    assert.deepEqual(problemsOf({ PATH: '/bin', SESION_RATE: '1', WSPROXY_TOKEN: 'secret', MY_WSPROXY_X: '1' }), [])
  })

  it('may not contradict itself', () => {
    assertProblem({ NODE_ENV: 'production' }, /^REDIS_URL: /, 'NODE_ENV=production')
    assertProblem({ AUTH_TOKEN_MODE: 'reusable', AUTH_RECONNECT_GRACE: '30s' }, /^AUTH_RECONNECT_GRACE: /)
    assertProblem({ PONG_TIMEOUT: '25s' }, /^PONG_TIMEOUT: /, 'PING_INTERVAL')
    assertProblem({ DRAIN_DELAY: '30s' }, /^DRAIN_DELAY: /, 'SHUTDOWN_GRACE_PERIOD')
    assertProblem({ LISTEN_ADDR: ':9000', ADMIN_PORT: '9000' }, /^ADMIN_PORT: /, 'LISTEN_ADDR')
    assert.deepEqual(problemsOf({ NODE_ENV: 'production', REDIS_URL: 'redis://127.0.0.1' }), [])
    assert.deepEqual(problemsOf({ PONG_TIMEOUT: '25001ms', DRAIN_DELAY: '29999ms' }), [])
  })

  it('is told all that is wrong with it at once, one line a problem', () => {
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

  it('names the variable as it was given when the prefixed one is bad', () => {
    const [problem, ...more] = problemsOf({ WSPROXY_SESSION_RATE: 'x', SESSION_RATE: '5' })
    assert.match(problem!, /SESSION_RATE: /)
    assert.deepEqual(more, [])
  })
})

describe('a secret', () => {
  const shown = (url: string) =>
    describeSettings(loadConfig({ REDIS_URL: url })).find(({ name }) => name === 'REDIS_URL')?.value

  it('is never told in a problem', () => {
    for (const url of ['localhost:hunter2', 'http://u:hunter2@h', 'redis://u:hunter2@h/x', 'redis://u:hunter2@']) {
      for (const name of ['REDIS_URL', 'WSPROXY_REDIS_URL']) {
        const problems = problemsOf({ [name]: url })
        assert.equal(problems.length, 1)
        assert.ok(!problems.join().includes('hunter2'), problems[0])
      }
    }
  })

  it('is masked where the settings are shown, and the rest of its URL is not', () => {
    assert.equal(shown('redis://user:hunter2@redis.example.org:6380/2'), 'redis://user:***@redis.example.org:6380/2')
    assert.equal(shown('rediss://:hunter2@redis.example.org'), 'rediss://:***@redis.example.org')
    assert.equal(shown('redis://127.0.0.1:6379'), 'redis://127.0.0.1:6379')
  })

  it('is not shown where it stands in the query either, whether such a URL is taken or not', () => {
    const url = 'redis://127.0.0.1:6379/0?password=hunter2'
    const said = problemsOf({ REDIS_URL: url })
    assert.ok(!(said[0] ?? shown(url))?.includes('hunter2'))
  })
})

describe('the description of the settings', () => {
  it('has every setting, in the order of their table, with value and source', () => {
    const shown = describeSettings(loadConfig({ SESSION_RATE: '7', WSPROXY_LOG_LEVEL: 'warn' }))
    assert.deepEqual(
      shown.map(({ name }) => name),
      KEYS.map((key) => settings[key].env),
    )
    const find = (name: string) => shown.find((each) => each.name === name)
    assert.deepEqual([find('SESSION_RATE')?.value, find('SESSION_RATE')?.source], ['7', 'SESSION_RATE'])
    assert.deepEqual([find('LOG_LEVEL')?.value, find('LOG_LEVEL')?.source], ['warn', 'WSPROXY_LOG_LEVEL'])
    assert.deepEqual([find('PING_INTERVAL')?.value, find('PING_INTERVAL')?.source], ['25s', 'default'])
  })

  it('says each default as it would be written, and a sentence', () => {
    for (const each of describeSettings()) {
      assert.match(each.description, /^\S.*[.)]$/, each.name)
      if (each.default === '') continue
      const written = each.default.slice(1, -1)
      assert.deepEqual(loadConfig({ [each.name]: written }).config, loadConfig({}).config, each.name)
    }
  })
})
