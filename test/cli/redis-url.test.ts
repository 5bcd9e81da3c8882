import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, it } from 'node:test'
import { killCommands, run, serve } from '../support/cli.ts'
import { temporaryFolder } from '../support/folder.ts'
import { freePort } from '../support/ports.ts'
import { createClient } from '../support/redis-client.ts'
import { eventually } from '../support/wait.ts'

const folderIn = (env: { TMPDIR: string }) => join(env.TMPDIR, `wsproxy-${userInfo().uid}`)
const filesIn = (env: { TMPDIR: string }) => readdirSync(folderIn(env)).map((name) => join(folderIn(env), name))
const printed = async (env: Record<string, string>) => (await run(['redis-url'], { env })).stdout.trim()

const withoutRedisCli = spawnSync('redis-cli', ['--version']).error !== undefined

describe('wsproxy redis-url', () => {
  afterEach(killCommands)

  it('redis-url prints the URL of the embedded Redis, with the random password of this start', async (t) => {
    const env = temporaryFolder(t)
    const { command } = await serve(env)
    const url = await printed(env)
    assert.match(url, /^redis:\/\/default:[0-9a-f]{48}@127\.0\.0\.1:\d+$/)
    const agent = await createClient({ url })
      .on('error', () => {})
      .connect()
    assert.equal(await agent.ping(), 'PONG')
    agent.destroy()
    // redis-cli sends an empty user name for a URL without one, and is refused.
    if (!withoutRedisCli) assert.equal(execFileSync('redis-cli', ['-u', url, 'PING'], { encoding: 'utf8' }), 'PONG\n')
    const { password } = new URL(url)
    assert.ok(!(command.stdout + command.stderr).includes(password), 'the gateway prints the password')
    const doctor = await run(['doctor'], { env: { ...env, LISTEN_ADDR: `127.0.0.1:${await freePort()}` } })
    assert.match(doctor.stdout, /the embedded Redis of the running gateway\)$/m)
    assert.ok(!(doctor.stdout + doctor.stderr).includes(password), 'doctor prints the password')
  })

  it('redis-url names the default user where REDIS_URL has only a password, as redis-cli needs it', async () => {
    const given = async (url: string) => printed({ REDIS_URL: url })
    assert.equal(await given('redis://:pw@127.0.0.1:6379/2'), 'redis://default:pw@127.0.0.1:6379/2')
    assert.equal(await given('rediss://ann:pw@127.0.0.1:6379'), 'rediss://ann:pw@127.0.0.1:6379')
  })

  it('the embedded Redis executes nothing without the password, and no other user can read its file', async (t) => {
    const env = temporaryFolder(t)
    await serve(env)
    const [file, ...more] = filesIn(env)
    assert.deepEqual(more, [])
    assert.equal(statSync(file!).mode & 0o777, 0o600)
    assert.equal(statSync(folderIn(env)).mode & 0o777, 0o700)
    const url = new URL(await printed(env))
    for (const password of ['', 'wrong', 'x'.repeat(48)]) {
      const other = Object.assign(new URL(url), { password })
      const stranger = createClient({ url: other.href, socket: { reconnectStrategy: false } }).on('error', () => {})
      const planted = stranger.connect().then(() => stranger.set('session:s1:auth', 'planted'))
      await assert.rejects(planted, /NOAUTH|WRONGPASS/, password)
      stranger.destroy()
    }
  })

  it('the file of the password is removed at the end, and a file that a killed gateway left is not believed', async (t) => {
    const env = temporaryFolder(t)
    const killed = await serve(env)
    const before = await printed(env)
    killed.command.signal('SIGKILL')
    await killed.command.status()
    const { status, stdout, complaints } = await run(['redis-url'], { env })
    assert.deepEqual([status, stdout, complaints.length], [1, '', 1])
    assert.match(
      complaints[0]!,
      /REDIS_URL is not set, and no gateway with an embedded Redis runs: run "wsproxy serve"$/,
    )
    const next = await serve(env)
    assert.notEqual(new URL(await printed(env)).password, new URL(before).password)
    next.command.signal('SIGTERM')
    assert.equal(await next.command.status(), 0)
    const left = filesIn(env).map((file) => readFileSync(file, 'utf8').trim())
    assert.ok(
      left.every((url) => url === before),
      left.join(' '),
    )
  })

  it('of two gateways without REDIS_URL each has its own file, and the commands find the one that is left', async (t) => {
    const env = temporaryFolder(t)
    const first = await serve(env)
    const second = await serve(env)
    assert.equal(filesIn(env).length, 2)
    // Not the default port, where another gateway may run.
    const asked = { ...env, LISTEN_ADDR: `127.0.0.1:${await freePort()}` }
    first.command.signal('SIGTERM')
    await first.command.status()
    assert.equal((await run(['token', 'create', 's1'], { env: asked })).status, 0)
    second.command.signal('SIGTERM')
    await second.command.status()
    await eventually(() => filesIn(env).length === 0, 'the files to be removed')
    const { status, complaints } = await run(['token', 'create', 's1'], { env: asked })
    assert.equal(status, 1)
    assert.match(complaints[0]!, /run "wsproxy serve" or set REDIS_URL$/)
  })

  for (const [kind, make] of Object.entries({
    'that others may read': (path: string) => {
      mkdirSync(path)
      chmodSync(path, 0o755)
    },
    'that is a link': (path: string) => {
      mkdirSync(`${path}-elsewhere`, { mode: 0o700 })
      symlinkSync(`${path}-elsewhere`, path)
    },
    'that is a file': (path: string) => writeFileSync(path, ''),
  })) {
    it(`a folder ${kind} gets no password, and no address is taken from it`, async (t) => {
      const env = temporaryFolder(t)
      make(folderIn(env))
      const { status, complaints } = await run(['serve'], { env: { ...env, LISTEN_ADDR: '127.0.0.1:0' } })
      assert.equal(status, 1)
      assert.match(complaints[0]!, /cannot store the password of the embedded Redis: .*wsproxy-\d+.*set REDIS_URL/)
      if (existsSync(`${folderIn(env)}-elsewhere`)) assert.deepEqual(readdirSync(`${folderIn(env)}-elsewhere`), [])
      if (kind !== 'that is a file')
        writeFileSync(join(folderIn(env), 'embedded-redis-16379'), `redis://127.0.0.1:${await freePort()}`)
      assert.equal((await run(['redis-url'], { env })).status, 1)
    })
  }

  it('redis-url prints REDIS_URL where it is set, and says that Sentinels and clusters have no URL', async () => {
    const url = 'redis://user:pass-word@redis.example:6380/2'
    assert.equal(await printed({ REDIS_URL: url }), url)
    for (const env of [{ REDIS_SENTINELS: '127.0.0.1:1' }, { REDIS_CLUSTER_NODES: '127.0.0.1:1' }]) {
      const { status, complaints } = await run(['redis-url'], { env: env as Record<string, string> })
      assert.equal(status, 1)
      assert.match(complaints[0]!, /REDIS_SENTINELS or REDIS_CLUSTER_NODES is set/)
    }
  })
})
