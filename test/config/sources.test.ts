import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { ALIASES } from '../../src/config/aliases.ts'
import { loadConfig } from '../../src/config/load.ts'
import { editDistance, nearestOf } from '../../src/config/near.ts'
import { type Config, settings } from '../../src/config/table.ts'
import { assertProblem, problemsOf } from '../support/config.ts'

const folder = mkdtempSync(join(tmpdir(), 'wsproxy-secrets-'))
after(() => rmSync(folder, { recursive: true }))

/** The path of a file with this content. */
function file(name: string, content: string): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

const configOf = (env: Record<string, string>): Config => loadConfig(env).config
const noticesOf = (env: Record<string, string>): readonly string[] => loadConfig(env).notices

describe('the names of other programs', () => {
  for (const [env, expected] of [
    [{ WS_PING_INTERVAL_SECS: '20' }, { pingIntervalMs: 20_000 }],
    [
      { WS_PING_INTERVAL_SECS: '30', WS_PING_TIMEOUT_SECS: '10' },
      { pingIntervalMs: 30_000, pongTimeoutMs: 40_000 },
    ],
    [{ WS_PING_TIMEOUT_SECS: '10' }, { pingIntervalMs: 25_000, pongTimeoutMs: 35_000 }],
    [{ MAX_MESSAGE_SIZE_BYTES: '65536' }, { maxMessageBytes: 65_536 }],
    [{ SHUTDOWN_GRACE_PERIOD_SECS: '45' }, { shutdownGracePeriodMs: 45_000 }],
    [{ AUTH_GRACE_PERIOD_SECS: '60' }, { authReconnectGraceMs: 60_000 }],
    [{ AUTH_TIMEOUT_SECS: '7' }, { handshakeTimeoutMs: 7000 }],
    [{ RUST_LOG: 'info,wsproxy=debug' }, { logLevel: 'debug' }],
    [{ RUST_LOG: 'tower_http=trace' }, { logLevel: 'info' }],
    [{ PREFLIGHT_REDIS_MAX_RETRIES: '9' }, { runRedisMaxRetries: 9 }],
    [{ PREFLIGHT_REDIS_RETRY_BASE: '100ms' }, { runRedisRetryBaseMs: 100 }],
    [{ PREFLIGHT_REDIS_RETRY_MAX: '10s' }, { runRedisRetryMaxMs: 10_000 }],
    [{ PREFLIGHT_REDIS_REQUEST_TIMEOUT: '2s' }, { runRedisTimeoutMs: 2000 }],
    [{ PREFLIGHT_WRITE_TIMEOUT: '3s' }, { slowCloseGraceMs: 3000 }],
    [{ LIVE_WS_PORT: '8765' }, { listenAddr: { host: '0.0.0.0', port: 8765 } }],
    [{ LIVE_WS_PORT: '8765', LIVE_WS_HOST: '127.0.0.1' }, { listenAddr: { host: '127.0.0.1', port: 8765 } }],
    [{ LIVE_WS_PING_INTERVAL_MS: '15000' }, { pingIntervalMs: 15_000, pongTimeoutMs: 50_000 }],
    [{ LIVE_WS_PING_INTERVAL_MS: '60000' }, { pingIntervalMs: 60_000, pongTimeoutMs: 120_000 }],
    [{ LIVE_WS_DRAIN_TIMEOUT_MS: '2500' }, { shutdownGracePeriodMs: 2500 }],
    [
      { WS_RATE_TOKENS_PER_SEC: '50', WS_RATE_BURST: '90' },
      { liveRate: 50, liveRateBurst: 90 },
    ],
    [{ WS_COMPRESSION_ENABLED: '1' }, { liveCompression: true }],
  ] as const) {
    it(`give their settings: ${JSON.stringify(env)}`, () => {
      const config = configOf(env)
      for (const [key, value] of Object.entries(expected)) assert.deepEqual(config[key as keyof Config], value, key)
    })
  }

  it('count only where the setting is not set, and the start says which of two counts', () => {
    const { config, sources, notices } = loadConfig({
      REDIS_URL: 'redis://a',
      PREFLIGHT_REDIS_URL: 'redis://b:hunter2@c',
    })
    assert.equal(config.redisUrl, 'redis://a')
    assert.equal(sources.redisUrl, 'REDIS_URL')
    assert.deepEqual(notices, ['PREFLIGHT_REDIS_URL: ignored, since REDIS_URL is set to something else'])
    assert.deepEqual(noticesOf({ REDIS_URL: 'redis://a', PREFLIGHT_REDIS_URL: 'redis://a' }), [])
    assert.equal(configOf({ WSPROXY_REDIS_URL: 'redis://c', PREFLIGHT_REDIS_URL: 'redis://b' }).redisUrl, 'redis://c')
  })

  it('all stand for a setting that exists', () => {
    const names = new Set<string>(Object.values(settings).map(({ env }) => env))
    for (const { name, of } of ALIASES) assert.ok(names.has(of), `${name} stands for ${of}`)
  })

  it('without a setting here are said in one line', () => {
    for (const [name, text, says] of [
      ['PUBSUB_POOL_SIZE', '8', /PUBSUB_POOL_SIZE is ignored/],
      ['WS_AUTH_MODE', 'jwt', /WS_AUTH_MODE="jwt" is ignored.*WS_AUTH_TOKEN/],
    ] as const) {
      const notices = noticesOf({ [name]: text })
      assert.equal(notices.length, 1)
      assert.match(notices[0]!, says)
    }
    assert.deepEqual(noticesOf({ WS_AUTH_MODE: 'token' }), [])
  })

  it('are named where their value is not valid', () => {
    assertProblem({ MAX_MESSAGE_SIZE_BYTES: 'x' }, /^MAX_MESSAGE_SIZE: .*MAX_MESSAGE_SIZE_BYTES/)
  })
})

describe('the address of the listener', () => {
  for (const [env, host, port, source] of [
    [{ PORT: '9107' }, '0.0.0.0', 9107, 'PORT'],
    [{ PORT: '9107', HOST: '127.0.0.1' }, '127.0.0.1', 9107, 'PORT, HOST'],
    [{ WSPROXY_PORT: '9107' }, '0.0.0.0', 9107, 'WSPROXY_PORT'],
    [{ PORT: '9107', HOST: '::' }, '::', 9107, 'PORT, HOST'],
    [{ HOST: '0.0.0.0' }, '0.0.0.0', 8080, 'HOST'],
    [{ HOST: 'laptop.lan' }, '127.0.0.1', 8080, 'default'],
    [{ HOST: 'laptop.lan', PORT: '9107' }, '0.0.0.0', 9107, 'PORT'],
    [{ PORT: '9107', LISTEN_ADDR: '127.0.0.1:1' }, '127.0.0.1', 1, 'LISTEN_ADDR'],
  ] as const) {
    it(`is ${host}:${port} with ${JSON.stringify(env)}`, () => {
      const { config, sources } = loadConfig(env)
      assert.deepEqual(config.listenAddr, { host, port })
      assert.equal(sources.listenAddr, source)
    })
  }

  it('is not made of a PORT that is none', () => {
    assertProblem({ PORT: 'http' }, /^PORT: .*integer/)
    assertProblem({ PORT: '65536' }, /^PORT: .*65535/)
  })

  it('says what it does not use', () => {
    assert.match(noticesOf({ HOST: 'laptop.lan' })[0]!, /HOST: "laptop.lan" is ignored/)
    assert.deepEqual(noticesOf({ PORT: '9107', LISTEN_ADDR: ':1' }), ['PORT: ignored, since LISTEN_ADDR is set'])
  })
})

describe('the address of Redis in parts', () => {
  for (const [env, url, source] of [
    [{ REDIS_HOST: 'cache' }, 'redis://cache:6379', 'REDIS_HOST'],
    [{ REDIS_PORT: '7000' }, 'redis://localhost:7000', 'REDIS_PORT'],
    [{ REDIS_HOST: 'fd00::1', REDIS_TLS: 'yes' }, 'rediss://[fd00::1]:6379', 'REDIS_HOST, REDIS_TLS'],
    [
      { REDIS_HOST: 'cache', REDIS_PASSWORD: 'a/b@c%' },
      'redis://:a%2Fb%40c%25@cache:6379',
      'REDIS_HOST, REDIS_PASSWORD',
    ],
    [
      { REDIS_HOST: 'cache', REDIS_USERNAME: 'u', REDIS_PASSWORD: 'p', REDIS_DB: '3' },
      'redis://u:p@cache:6379/3',
      'REDIS_HOST, REDIS_USERNAME, REDIS_PASSWORD, REDIS_DB',
    ],
    [{ REDIS_URL: 'redis://cache/2', REDIS_PASSWORD: 'p:' }, 'redis://:p%3A@cache/2', 'REDIS_URL, REDIS_PASSWORD'],
    [
      { REDIS_URL: 'redis://u@cache', PREFLIGHT_REDIS_PASSWORD: 'p' },
      'redis://u:p@cache',
      'REDIS_URL, PREFLIGHT_REDIS_PASSWORD',
    ],
    [{ REDIS_URL: 'redis://u:own@cache', REDIS_PASSWORD: 'p' }, 'redis://u:own@cache', 'REDIS_URL'],
    [{ REDIS_URL: 'redis://cache', REDIS_DB: '4' }, 'redis://cache/4', 'REDIS_URL, REDIS_DB'],
    [{ REDIS_URL: 'redis://cache/1', REDIS_DB: '4' }, 'redis://cache/1', 'REDIS_URL'],
    [{ REDIS_URL: 'redis://cache', REDIS_HOST: 'other' }, 'redis://cache', 'REDIS_URL'],
    [{ REDIS_SENTINELS: 's:1', REDIS_PASSWORD: 'p' }, 'redis://:p@localhost:6379', 'REDIS_PASSWORD'],
  ] as const) {
    it(`is ${url} with ${JSON.stringify(env)}`, () => {
      const { config, sources } = loadConfig(env)
      assert.equal(config.redisUrl, url)
      assert.equal(sources.redisUrl, source)
    })
  }

  it('is enough for production', () => {
    assert.deepEqual(problemsOf({ NODE_ENV: 'production', REDIS_HOST: 'cache' }), [])
  })

  it('is not made of a password alone, which is said without it', () => {
    const { config, notices } = loadConfig({ REDIS_PASSWORD: 'hunter2' })
    assert.equal(config.redisUrl, undefined)
    assert.deepEqual(notices, ['REDIS_PASSWORD: ignored, since neither REDIS_URL nor REDIS_HOST is set'])
  })
})

describe('a secret in a file', () => {
  it('is read without its line end, for each secret', () => {
    for (const [key, { env, secret }] of Object.entries(settings)) {
      if (!secret) continue
      const text = env.endsWith('URL')
        ? 'redis://cache'
        : env.endsWith('ENDPOINT')
          ? 'http://cache'
          : 'a secret-of-at-least-32-characters'
      const path = file(env, `${text.replace(' ', '-')}\r\n`)
      const own = env === 'DEFAULT_ADMIN_PASSWORD' ? { DEFAULT_ADMIN_EMAIL: 'a@example.org' } : {}
      const { config, sources } = loadConfig({ ...own, [`${env}_FILE`]: path })
      assert.equal(config[key as keyof Config], text.replace(' ', '-'), env)
      assert.equal(sources[key as keyof Config], `${env}_FILE`)
      const prefixed = loadConfig({ ...own, [`WSPROXY_${env}_FILE`]: path })
      assert.equal(prefixed.sources[key as keyof Config], `WSPROXY_${env}_FILE`)
    }
  })

  it('is put into a Redis URL that has none', () => {
    const env = { REDIS_URL: 'redis://cache', PREFLIGHT_REDIS_PASSWORD_FILE: file('password', 'p w\n') }
    assert.equal(configOf(env).redisUrl, 'redis://:p%20w@cache')
  })

  it('that cannot be read, is empty or is no secret ends the start', () => {
    assertProblem({ ADMIN_TOKEN_FILE: '/nowhere/token' }, /^ADMIN_TOKEN_FILE: .*\/nowhere\/token/)
    assertProblem({ ADMIN_TOKEN_FILE: file('empty', '\n') }, /empty/)
    assertProblem({ ADMIN_TOKEN_FILE: file('large', 'x'.repeat(65_537)) }, /65537 bytes.*65536/)
    assertProblem({ ADMIN_TOKEN_FILE: folder }, /^ADMIN_TOKEN_FILE: /)
  })
})

describe('words for values', () => {
  for (const word of ['1', 'true', 'TRUE', 'yes', 'Yes', 'on', 'ON'])
    it(`${word} is true`, () => assert.equal(configOf({ REQUIRE_ORIGIN: word }).requireOrigin, true))
  for (const word of ['0', 'false', 'False', 'no', 'NO', 'off', 'Off'])
    it(`${word} is false`, () => assert.equal(configOf({ SESSION_UPSTREAM: word }).sessionUpstream, false))
  for (const [word, level] of [
    ['INFO', 'info'],
    ['warning', 'warn'],
    ['Warning', 'warn'],
    ['info,wsproxy=debug', 'debug'],
    ['wsproxy=trace,info', 'trace'],
    ['hyper=debug,error', 'error'],
    ['off', 'silent'],
  ] as const)
    it(`${word} is the level ${level}`, () => assert.equal(configOf({ LOG_LEVEL: word }).logLevel, level))
})

describe('variables of Kubernetes Services', () => {
  const links = {
    REDIS_PORT: 'tcp://10.0.0.1:6379',
    REDIS_SERVICE_HOST: '10.0.0.1',
    WSPROXY_PORT: 'tcp://10.0.0.2:80',
    WSPROXY_PORT_80_TCP: 'tcp://10.0.0.2:80',
    WSPROXY_PORT_80_TCP_ADDR: '10.0.0.2',
    WSPROXY_SERVICE_HOST: '10.0.0.2',
    WSPROXY_SERVICE_PORT_HTTP: '80',
    WSPROXY_ADMIN_PORT: 'tcp://10.0.0.3:9000',
    WSPROXY_HEADLESS_SERVICE_PORT: '80',
  }

  it('are ignored with one line', () => {
    const { config, notices } = loadConfig(links)
    assert.deepEqual(config, loadConfig({}).config)
    assert.equal(notices.length, 1)
    assert.match(notices[0]!, /^REDIS_PORT, WSPROXY_PORT, .*WSPROXY_ADMIN_PORT.*: ignored, Kubernetes/)
    assert.doesNotMatch(notices[0]!, /REDIS_SERVICE_HOST/)
  })

  it('do not hide a setting beside them', () => {
    const { config } = loadConfig({ ...links, REDIS_URL: 'redis://cache', ADMIN_PORT: '9000' })
    assert.equal(config.redisUrl, 'redis://cache')
    assert.equal(config.adminPort, 9000)
  })
})

describe('a name that is nearly a setting', () => {
  for (const [name, meant] of [
    ['REDIS_ULR', 'REDIS_URL'],
    ['MAX_CONECTIONS', 'MAX_CONNECTIONS'],
    ['ADMIN_TOKN_FILE', 'ADMIN_TOKEN_FILE'],
    ['WS_PING_INTERVAL_SEC', 'WS_PING_INTERVAL_SECS'],
  ] as const)
    it(`is a line with both: ${name}`, () =>
      assert.deepEqual(noticesOf({ [name]: '1' }), [`${name}: not a setting; did you mean ${meant}?`]))

  it('is an error with the prefix', () => {
    assertProblem({ WSPROXY_REDIS_ULR: '1' }, 'WSPROXY_REDIS_ULR: no such setting; did you mean WSPROXY_REDIS_URL?')
  })

  it('is no name of an ordinary environment', () => {
    const names = ['HOME', 'PATH', 'USER', 'TERM', 'LANG', 'SHELL', 'HOSTNAME', 'LOGNAME', 'NODE_PATH', 'DATABASE_URL']
    assert.deepEqual(noticesOf(Object.fromEntries([...names, 'REDIS_USER', 'PORTS'].map((name) => [name, '1']))), [])
  })

  it('is counted by letters added, dropped, changed or swapped', () => {
    for (const [a, b, distance] of [
      ['', 'ab', 2],
      ['abc', 'abc', 0],
      ['abc', 'acb', 1],
      ['REDIS_ULR', 'REDIS_URL', 1],
      ['kitten', 'sitting', 3],
    ] as const)
      assert.equal(editDistance(a, b), distance, `${a} ${b}`)
    for (const name of ['XBCDEFGHIX', 'BACDEFGHJI', 'BCDEFGHI', 'XABCDEFGHIJX', 'ACBDEFGHIX'])
      assert.equal(nearestOf(['ABCDEFGHIJ'])(name), 'ABCDEFGHIJ', name)
    for (const name of ['XBCDEFGHXX', 'QRSTUVWXYZ', 'CDEFGHIX'])
      assert.equal(nearestOf(['ABCDEFGHIJ'])(name), undefined, name)
    assert.equal(nearestOf(['ABCDEFG', 'ABCDEFGXIJ', 'ABCDEFGHXX'])('ABCDEFGHIJ'), 'ABCDEFGXIJ')
  })
})
