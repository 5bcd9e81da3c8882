import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sessionAuth } from '../../src/contract/names.ts'
import { Command, killCommands, run, serve } from '../support/cli.ts'
import { temporaryFolder } from '../support/folder.ts'
import { freePort } from '../support/ports.ts'
import { type Client, redisFor, type TestRedis } from '../support/redis.ts'
import { atEnd, scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

const TOKEN = 'b8f2c1a09e7d46f3'

describe('commands and the gateway that runs at LISTEN_ADDR', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let agent: Client
  before(async () => {
    redis = await redisFor(suite)
    agent = await redis.client()
    atEnd(suite, killCommands)
  })

  /** A gateway on a port of its own, and the setting by which commands find it. */
  async function start(env: Record<string, string> = {}) {
    const served = await serve({ REDIS_URL: redis.url, ...env })
    return { ...served, at: { LISTEN_ADDR: new URL(served.http).host } }
  }

  it('config --running prints the settings of the gateway, not of this environment, with secrets masked', async () => {
    const { at, command } = await start({ MAX_CONNECTIONS: '77', FLEET_SECRET: 'hunter2-hunter2-hunter2-hunter2-' })
    const { status, stdout, stderr } = await run(['config', '--running'], { env: at })
    assert.equal(status, 0, stderr)
    assert.match(stdout, /^MAX_CONNECTIONS +77 +MAX_CONNECTIONS$/m)
    assert.match(stdout, /^FLEET_SECRET +\*\*\* +FLEET_SECRET$/m)
    assert.match(
      stderr,
      new RegExp(`pid ${command.child.pid}, Redis: redis://127\\.0\\.0\\.1:${new URL(redis.url).port}`),
    )
    const json = JSON.parse((await run(['config', '--running', '--json'], { env: at })).stdout)
    assert.equal(json.pid, command.child.pid)
    assert.doesNotMatch(JSON.stringify(json), /hunter2/)
  })

  it('config --running needs ADMIN_TOKEN where the gateway has one, and in production', async () => {
    const { at } = await start({ ADMIN_TOKEN: TOKEN })
    const without = await run(['config', '--running'], { env: at })
    assert.equal(without.status, 1)
    assert.match(without.stderr, /answers 40[13]: set ADMIN_TOKEN/)
    assert.equal((await run(['config', '--running'], { env: { ...at, ADMIN_TOKEN: TOKEN } })).status, 0)
    const production = await start({ NODE_ENV: 'production' })
    const refused = await run(['config', '--running'], { env: production.at })
    assert.equal(refused.status, 1)
    assert.match(refused.stderr, /set ADMIN_TOKEN/)
    const nowhere = await run(['config', '--running'], { env: { LISTEN_ADDR: `127.0.0.1:${await freePort()}` } })
    assert.equal(nowhere.status, 1)
    assert.match(nowhere.stderr, /no gateway answers at http:\/\/127\.0\.0\.1:\d+ .*set LISTEN_ADDR/)
  })

  it('config --running of a gateway with an admin port asks there', async () => {
    const ADMIN_PORT = String(await freePort())
    const { at } = await start({ ADMIN_PORT, ADMIN_TOKEN: TOKEN })
    const { status, stderr } = await run(['config', '--running'], { env: { ...at, ADMIN_PORT, ADMIN_TOKEN: TOKEN } })
    assert.equal(status, 0, stderr)
  })

  it('a page that points its own host name at loopback reads no settings', async () => {
    const { http } = await start()
    const { hostname, port } = new URL(http)
    const ask = async (Host: string) => {
      const { request } = await import('node:http')
      return new Promise<number | undefined>((resolve, reject) => {
        const sent = request({ hostname, port, path: '/api/admin/config', headers: { Host } }, (response) => {
          response.resume()
          resolve(response.statusCode)
        })
        sent.on('error', reject).end()
      })
    }
    assert.equal(await ask(`127.0.0.1:${port}`), 200)
    assert.equal(await ask(`localhost:${port}`), 200)
    for (const host of ['evil.example', `127.0.0.1.evil.example:${port}`, 'localhost.evil.example'])
      assert.equal(await ask(host), 401, host)
  })

  it('token and publish use the Redis of the gateway, its key prefix too, and say which', async (t) => {
    const { at, ws } = await start({ REDIS_KEY_PREFIX: 'staging:' })
    const env = { ...at, ...temporaryFolder(t) }
    const created = await run(['token', 'create', 'found'], { env })
    assert.equal(created.status, 0, created.stderr)
    assert.match(created.stderr, /^Redis: \S+:\d+, the Redis of the gateway at http:\/\/127\.0\.0\.1:\d+$/m)
    assert.equal(await agent.get('staging:session:found:auth'), created.stdout.trim())
    const client = new Command(['connect', `${ws}/a/ws/found`], { env: { WSPROXY_TOKEN: created.stdout.trim() } })
    await client.says(/^connected/m)
    assert.equal((await run(['publish', 'found', '{"n":1}'], { env })).status, 0)
    await client.prints(/^\{"n":1\}$/m)
    client.signal('SIGINT')
    await client.status()
  })

  it('commands take the embedded Redis of the gateway at LISTEN_ADDR, although another one runs', async (t) => {
    const folder = temporaryFolder(t)
    const first = await serve(folder)
    const second = await serve(folder)
    const urls = await Promise.all(
      [first, second].map(async ({ http }) => {
        const { stdout, stderr } = await run(['redis-url'], { env: { ...folder, LISTEN_ADDR: new URL(http).host } })
        assert.match(stdout, /^redis:\/\/\S+@127\.0\.0\.1:\d+\n$/, stderr)
        return stdout
      }),
    )
    assert.notEqual(urls[0], urls[1])
  })

  it('a command ends with what to set when the Redis of the gateway has a password', async (t) => {
    const url = redis.url.replace('redis://', 'redis://:hunter2@')
    const { at } = await start({ REDIS_URL: url })
    const { status, stdout, complaints } = await run(['token', 'create', 's1'], {
      env: { ...at, ...temporaryFolder(t) },
    })
    assert.equal(status, 1)
    assert.equal(stdout, '')
    assert.match(complaints.join('\n'), /uses redis:\/\/127\.0\.0\.1:\d+ with a password: set REDIS_URL$/)
    assert.doesNotMatch(complaints.join('\n'), /hunter2/)
  })

  it('connect says that no agent listens to the session, once, and is silent when one does', async () => {
    const { ws } = await start()
    const env = { REDIS_URL: redis.url }
    const command = new Command(['connect', '-c', `${ws}/a/ws/lonely`], { env })
    await command.says(/^connected/m)
    command.write('{"n":1}')
    await command.says(/^no agent listens: nothing is subscribed to session:lonely:up, so what you send is dropped$/m)
    const heard: string[] = []
    const listener = await redis.client()
    await listener.subscribe('session:lonely:up', (message) => heard.push(message))
    command.write('{"n":2}')
    await eventually(() => heard.length === 1, 'the frame')
    command.signal('SIGINT')
    await command.status()
    assert.equal(command.stderr.match(/no agent listens/g)?.length, 1)
    assert.equal(await agent.get(sessionAuth('lonely')), null, 'the token was used')
  })
})
