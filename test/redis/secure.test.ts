import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, describe, it } from 'node:test'
import { bareGatewayFor } from '../support/bare.ts'
import { Certificate, withoutOpenssl } from '../support/certificates.ts'
import { killCommands, run } from '../support/cli.ts'
import { temporaryFolder } from '../support/folder.ts'
import { freePort } from '../support/ports.ts'
import { realRedisFor, spawnRealRedis, withoutRealRedis } from '../support/redis.ts'
import { atEnd, scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

const skip = withoutOpenssl || withoutRealRedis

describe('Redis behind TLS', { skip }, () => {
  const suite = scopeOf(after)
  const each = scopeOf(afterEach)
  afterEach(killCommands)

  /** A server that asks for a client certificate, and the settings that reach it. */
  async function secured(args: readonly string[] = []) {
    const own = new Certificate(suite)
    const port = await freePort()
    const files = ['--tls-cert-file', own.cert, '--tls-key-file', own.key, '--tls-ca-cert-file', own.cert]
    const redis = await realRedisFor(each, ['--tls-port', String(port), ...files, ...args])
    const env = { REDIS_URL: `rediss://127.0.0.1:${port}`, REDIS_TLS_CA: own.cert }
    return { own, redis, env, client: { REDIS_TLS_CERT: own.cert, REDIS_TLS_KEY: own.key } }
  }

  const readyWith = async (env: Record<string, string>) => {
    const gateway = await bareGatewayFor(each, env.REDIS_URL!, env)
    await eventually(() => gateway.gateway.redisReady, 'the gateway to reach Redis')
    return gateway
  }

  const reasonWith = async (env: Record<string, string>) => {
    const gateway = await bareGatewayFor(each, env.REDIS_URL!, env)
    const lost = () => gateway.log.find(({ event }) => event === 'redis-lost')
    await eventually(lost, 'the first attempt')
    return String(lost()!.reason)
  }

  it('is reached with a certificate authority of its own and a client certificate', async () => {
    const { env, client } = await secured()
    await readyWith({ ...env, ...client })
    const { stdout, status, stderr } = await run(['token', 'create', 's1'], { env: { ...env, ...client } })
    assert.equal(status, 0, stderr)
    assert.notEqual(stdout.trim(), '')
  })

  it('is refused with the setting that would mend it', async () => {
    const { env, client } = await secured()
    assert.match(
      await reasonWith({ ...client, REDIS_URL: env.REDIS_URL }),
      /self-signed certificate \(REDIS_TLS_CA names/,
    )
    assert.match(await reasonWith(env), /REDIS_TLS_CERT and REDIS_TLS_KEY/)
    assert.match(
      await reasonWith({ ...env, ...client, REDIS_TLS_SERVERNAME: 'redis.example' }),
      /altnames: .*redis\.example.*REDIS_TLS_SERVERNAME/,
    )
    const missing = { ...env, ...client, REDIS_TLS_CA: '/nowhere/ca.pem' }
    assert.match(await reasonWith(missing), /REDIS_TLS_CA: cannot read "\/nowhere\/ca\.pem".*ENOENT/)
  })

  it('is reached by a name in its certificate that is not the host of its address', async () => {
    const { env, client } = await secured()
    await readyWith({ ...env, ...client, REDIS_TLS_SERVERNAME: 'localhost' })
  })

  it('is reached again after its certificate and that of the gateway were renewed', async () => {
    const { env, client, own, redis } = await secured()
    const gateway = await readyWith({ ...env, ...client })
    own.renew()
    const admin = await redis.client()
    const files = ['tls-cert-file', own.cert, 'tls-key-file', own.key, 'tls-ca-cert-file', own.cert]
    await admin.sendCommand(['CONFIG', 'SET', ...files])
    await admin.sendCommand(['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'])
    await eventually(() => gateway.log.some(({ event }) => event === 'redis-lost'), 'the end of the old connection')
    await eventually(() => gateway.gateway.redisReady, 'the gateway with the new files')
    assert.ok(!gateway.log.some(({ reason }) => /certificate/.test(String(reason))))
  })
})

describe('a password in a file', { skip: withoutRealRedis }, () => {
  const each = scopeOf(afterEach)

  it('counts anew at each connect', async () => {
    const redis = await realRedisFor(each, ['--user', 'gateway', 'on', '>first', '~*', '&*', '+@all'])
    const file = join(temporaryFolder(each).TMPDIR, 'password')
    writeFileSync(file, 'first\n')
    const url = `redis://gateway@127.0.0.1:${redis.port}`
    const gateway = await bareGatewayFor(each, url, { REDIS_URL: url, REDIS_PASSWORD_FILE: file })
    await eventually(() => gateway.gateway.redisReady, 'the gateway to reach Redis')
    const admin = await redis.client()
    writeFileSync(file, 'second\n')
    await admin.sendCommand(['ACL', 'SETUSER', 'gateway', 'resetpass', '>second'])
    await admin.sendCommand(['CLIENT', 'KILL', 'USER', 'gateway'])
    await eventually(() => gateway.log.some(({ event }) => event === 'redis-lost'), 'the end of the old connection')
    await eventually(() => gateway.gateway.redisReady, 'the gateway to log in with the new password')
    assert.ok(!gateway.log.some(({ reason }) => /WRONGPASS|NOAUTH/.test(String(reason))))
  })

  for (const [what, spoil, problem] of [
    ['missing', (file: string) => rmSync(file), /ENOENT/],
    ['empty', (file: string) => writeFileSync(file, '\n'), /is empty/],
  ] as const) {
    it(`is named in the log when its file is ${what} at a connect, and the login of the start stays`, async () => {
      const redis = await realRedisFor(each, ['--user', 'gateway', 'on', '>first', '~*', '&*', '+@all'])
      const file = join(temporaryFolder(each).TMPDIR, 'password')
      writeFileSync(file, 'first\n')
      const url = `redis://gateway@127.0.0.1:${redis.port}`
      const gateway = await bareGatewayFor(each, url.replace('@', ':first@'), {
        REDIS_URL: url,
        REDIS_PASSWORD_FILE: file,
      })
      await eventually(() => gateway.gateway.redisReady, 'the gateway to reach Redis')
      spoil(file)
      await (await redis.client()).sendCommand(['CLIENT', 'KILL', 'USER', 'gateway'])
      const said = () => gateway.log.find(({ event }) => event === 'redis-login-file')
      await eventually(said, 'the line')
      assert.match(String(said()!.reason), /^REDIS_PASSWORD_FILE: cannot read the secret in /)
      assert.match(String(said()!.reason), problem)
      await eventually(() => gateway.gateway.redisReady, 'the gateway to log in again')
    })
  }
})

describe('Sentinels with users and TLS', { skip }, () => {
  const each = scopeOf(afterEach)

  it('are asked as REDIS_SENTINEL_USERNAME over REDIS_SENTINEL_TLS', async () => {
    const own = new Certificate(each)
    const master = await realRedisFor(each)
    const [port, plain] = [await freePort(), await freePort()]
    const folder = temporaryFolder(each).TMPDIR
    const file = join(folder, 'sentinel.conf')
    const lines = [
      `port ${plain}`,
      `tls-port ${port}`,
      'bind 127.0.0.1',
      `dir ${folder}`,
      `tls-cert-file ${own.cert}`,
      `tls-key-file ${own.key}`,
      `tls-ca-cert-file ${own.cert}`,
      'tls-auth-clients no',
      'user default off',
      'user watcher on >seen +@all ~* &*',
      `sentinel monitor mymaster 127.0.0.1 ${master.port} 1`,
    ]
    writeFileSync(file, `${lines.join('\n')}\n`)
    const child = await spawnRealRedis([file, '--sentinel'])
    atEnd(each, () => child.kill('SIGKILL'))
    const env = {
      REDIS_SENTINELS: `localhost:${port}`,
      REDIS_SENTINEL_TLS: 'true',
      REDIS_SENTINEL_USERNAME: 'watcher',
      REDIS_SENTINEL_PASSWORD: 'seen',
      REDIS_TLS_CA: own.cert,
    }
    const gateway = await bareGatewayFor(each, 'redis://localhost', env)
    await eventually(() => gateway.gateway.redisReady, 'the master that the Sentinel names')
  })
})
