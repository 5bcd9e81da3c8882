import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { secretsIn } from '../../src/config/secrets.ts'
import { Command } from '../support/cli.ts'
import { realRedisFor, withoutRealRedis } from '../support/redis.ts'
import { eventually } from '../support/wait.ts'

const PASSWORD = 'p@ss/w:rd.*$&-of-a-test'

describe('the secrets of the environment', () => {
  it('are the secret settings under all their names, and what is secret within a URL', () => {
    const found = (env: Record<string, string>) => new Set(secretsIn(env).filter(Boolean))
    assert.ok(found({ WSPROXY_ADMIN_TOKEN: 'admin-1' }).has('admin-1'))
    assert.ok(found({ FLEET_SECRET: 'one two' }).has('two'))
    assert.ok(found({ WSPROXY_TOKEN: 'client-1' }).has('client-1'))
    const url = `redis://user:${encodeURIComponent(PASSWORD)}@host:6379/1`
    for (const name of ['REDIS_URL', 'WSPROXY_REDIS_URL', 'PREFLIGHT_REDIS_URL']) {
      const secrets = found({ [name]: url })
      assert.ok(secrets.has(PASSWORD) && secrets.has(encodeURIComponent(PASSWORD)), name)
      assert.ok(!secrets.has('user') && !secrets.has(url))
    }
    assert.ok(found({ REDIS_URL: 'not a url: really' }).has('not a url: really'), 'an invalid value may be one')
    const folder = mkdtempSync(join(tmpdir(), 'wsproxy-secret-'))
    writeFileSync(join(folder, 'token'), 'token-in-a-file\n')
    assert.ok(found({ ADMIN_TOKEN_FILE: join(folder, 'token') }).has('token-in-a-file'))
    rmSync(folder, { recursive: true })
    assert.ok(found({ SENTRY_DSN: 'https://key-1@sentry.example/1' }).has('key-1'))
    assert.ok(found({ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://host/?api=key-2' }).has('key-2'))
    assert.deepEqual(found({ LISTEN_ADDR: ':8080', SESSION_RATE: '7' }), new Set())
  })

  it('are the members of a list too, but not the words of a passphrase', () => {
    for (const name of ['AUTH_JWT_SECRET', 'JWT_SECRET', 'FLEET_SECRET', 'WSPROXY_FLEET_SECRET'])
      assert.deepEqual(secretsIn({ [name]: 'first second' }).filter(Boolean), ['first second', 'first', 'second'], name)
    for (const name of ['ADMIN_TOKEN', 'WS_AUTH_TOKEN', 'REDIS_PASSWORD', 'PREFLIGHT_REDIS_PASSWORD', 'REDIS_URL'])
      assert.deepEqual(secretsIn({ [name]: 'a fine phrase' }).filter(Boolean), ['a fine phrase'], name)
    assert.deepEqual(secretsIn({ ADMIN_TOKEN: 'x://a:b@c' }).filter(Boolean), ['x://a:b@c'], 'it is no address')
    const folder = mkdtempSync(join(tmpdir(), 'wsproxy-secret-'))
    writeFileSync(join(folder, 'password'), 'a fine phrase\n')
    const env = { DEFAULT_ADMIN_PASSWORD_FILE: join(folder, 'password'), WSPROXY_TOKEN: 'two words' }
    assert.deepEqual(secretsIn(env).filter(Boolean).sort(), ['a fine phrase', 'two words'])
    rmSync(folder, { recursive: true })
  })

  it('are in no line and no error while Redis repeats the arguments of a command that it does not know', {
    skip: withoutRealRedis,
  }, async (t) => {
    const redis = await realRedisFor(t, ['--requirepass', PASSWORD, '--rename-command', 'HELLO', ''])
    const env = {
      REDIS_URL: `redis://:${encodeURIComponent(PASSWORD)}@127.0.0.1:${redis.port}`,
      LISTEN_ADDR: '127.0.0.1:0',
      ADMIN_TOKEN: 'an-admin-token-of-a-test',
    }
    const serve = new Command(['serve'], { env })
    await eventually(() => serve.stdout.includes('"listening"') && serve.lines.length >= 3, 'some lines')
    serve.signal('SIGTERM')
    await serve.exited
    const doctor = new Command(['doctor'], { env })
    const token = new Command(['token', 'create', 's1'], { env })
    const config = new Command(['config'], { env })
    await Promise.all([doctor.exited, token.exited, config.exited])
    for (const { stdout, stderr } of [serve, doctor, config, token]) {
      const output = stdout + stderr
      for (const secret of [PASSWORD, encodeURIComponent(PASSWORD), env.ADMIN_TOKEN])
        assert.ok(!output.includes(secret), output)
    }
  })
})
