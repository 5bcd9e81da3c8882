import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type BareGateway, bareGatewayFor } from '../support/bare.ts'
import { connect, refused } from '../support/client.ts'
import { blocks } from '../support/operations.ts'
import { freePort } from '../support/ports.ts'
import { redisFor, type TestRedis, withoutRealRedis } from '../support/redis.ts'
import { atEnd, scopeOf } from '../support/scope.ts'
import { eventually, within } from '../support/wait.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

const ADMIN_TOKEN = 'admin-token-of-the-runbook'

const missing = ['sh', 'curl', 'redis-cli'].filter((name) => spawnSync(name, ['-c', 'exit 0', '--version']).error)
if (withoutRealRedis) missing.push('redis-server')
describe('the commands of the pages of operations', {
  skip: missing.length > 0 && `needs ${missing.join(' and ')} on the PATH`,
}, () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let gateway: BareGateway
  let folder: string

  const program = (name: string, text: string) => {
    writeFileSync(join(folder, name), `#!/bin/sh\n${text}\n`)
    chmodSync(join(folder, name), 0o755)
  }

  before(async () => {
    redis = await redisFor(suite)
    gateway = bareGatewayFor(suite, redis.url, {
      ADMIN_PORT: String(await freePort()),
      ADMIN_TOKEN,
    })
    await eventually(() => gateway.gateway.redisReady, 'the gateway to reach Redis')
    folder = mkdtempSync(join(tmpdir(), 'wsproxy-runbook-'))
    atEnd(suite, () => rmSync(folder, { recursive: true, force: true }))
    // No exec: in a clone npm stands between the shell and the program, and passes no signal on.
    program('wsproxy', `'${process.execPath}' '${join(ROOT, 'dist/src/cli/main.js')}' "$@"`)
    program('logs', `cat '${join(folder, 'log')}'`)
    await leaveTraces()
  })

  /** Makes the gateway log what the pages look for. */
  async function leaveTraces() {
    const admin = await redis.client()
    await admin.set('session:traces:auth', 'token')
    const client = await connect(`${gateway.ws}/agent/ws/traces`, { token: 'token' })
    await client.close()
    await refused(`${gateway.ws}/agent/ws/traces`, { token: 'token' })
    await admin.set('not-a-hash', 'text')
    const run = await connect(`${gateway.ws}/not-a-hash`)
    const logged = (event: string) => gateway.log.some((line) => line.event === event)
    await eventually(() => ['closed', 'refused', 'run-fault'].every(logged), 'the lines of the log')
    await run.close()
  }

  const runnable = blocks('sh runnable')
  it('are many', () => assert.ok(runnable.length >= 25, `${runnable.length}`))

  for (const [i, { path, under, text }] of runnable.entries()) {
    it(`work in ${path} under "${under}" (block ${i + 1})`, async () => {
      writeFileSync(join(folder, 'log'), gateway.log.map((line) => `${JSON.stringify(line)}\n`).join(''))
      const env = {
        PATH: `${folder}${delimiter}${process.env.PATH}`,
        GATEWAY: gateway.http,
        ADMIN: gateway.admin,
        ADMIN_TOKEN,
        REDIS_URL: redis.url,
        REDIS_ADMIN_URL: redis.url,
      }
      const child = spawn('sh', ['-euc', text], { env, cwd: folder })
      let said = ''
      for (const stream of [child.stdout, child.stderr]) {
        stream.on('data', (chunk) => {
          said += chunk
        })
      }
      const [status] = await within(once(child, 'close'), `the end of: ${text}`)
      assert.equal(status, 0, `${text}\n${said}`)
      assert.doesNotMatch(said, /^(\(error\) |ERR |NOPERM|WRONGPASS|Could not connect)/m, text)
      assert.notEqual(said.trim(), '', text)
    })
  }
})
