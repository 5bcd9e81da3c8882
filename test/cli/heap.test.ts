import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { after, afterEach, before, describe, it } from 'node:test'
import { killCommands, run, serve } from '../support/cli.ts'
import { temporaryFolder } from '../support/folder.ts'
import { redisFor } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

const ADMIN_TOKEN = 'a-token-of-the-operators'

describe('wsproxy heap', () => {
  const suite = scopeOf(after)
  afterEach(killCommands)
  // Each snapshot would have the embedded Redis too, and take twice the CPU.
  let env: Record<string, string>
  before(async () => {
    env = { ADMIN_TOKEN, REDIS_URL: (await redisFor(suite)).url }
  })

  it('has the gateway write a snapshot that only its user can read, and prints the file', async (t) => {
    const { TMPDIR } = temporaryFolder(t)
    const { command, http } = await serve({ ...env, TMPDIR })
    const own = { ADMIN_TOKEN, LISTEN_ADDR: new URL(http).host }
    const { stdout, stderr, status } = await run(['heap'], { env: own })
    const file = stdout.trim()
    assert.equal(status, 0, stderr)
    assert.ok(file.startsWith(`${TMPDIR}/wsproxy-${command.child.pid}-`), file)
    assert.equal(statSync(file).mode & 0o777, 0o600)
    assert.ok('snapshot' in JSON.parse(readFileSync(file, 'utf8')))
    assert.deepEqual(
      readdirSync(TMPDIR).filter((name) => name.endsWith('.part')),
      [],
    )
  })

  it('says at once that a snapshot is less than a minute old, and that the folder is missing', async (t) => {
    const { TMPDIR } = temporaryFolder(t)
    const { http } = await serve({ ...env, TMPDIR })
    const own = { ADMIN_TOKEN, LISTEN_ADDR: new URL(http).host }
    const first = await run(['heap'], { env: own })
    const again = await run(['heap'], { env: own })
    assert.equal(again.status, 1)
    assert.ok(again.stderr.startsWith(`${first.stdout.trim()} is less than a minute old`), again.stderr)
    const other = await serve({ ...env, TMPDIR, HEAP_SNAPSHOT_DIR: `${TMPDIR}/none` })
    const missing = await run(['heap'], { env: { ADMIN_TOKEN, LISTEN_ADDR: new URL(other.http).host } })
    assert.match(missing.stderr, /cannot read .*\/none of HEAP_SNAPSHOT_DIR: .*ENOENT/)
  })

  it('writes one beside names that it cannot remove, and keeps it beside names of the future', async (t) => {
    const { TMPDIR } = temporaryFolder(t)
    mkdirSync(`${TMPDIR}/wsproxy-1-2000-01-01T000000000Z.heapsnapshot`)
    for (const n of [1, 2, 3, 4]) writeFileSync(`${TMPDIR}/wsproxy-${n}-2999-01-01T000000000Z.heapsnapshot`, '')
    const { command, http } = await serve({ ...env, TMPDIR })
    const own = { ADMIN_TOKEN, LISTEN_ADDR: new URL(http).host }
    const { stdout } = await run(['heap'], { env: own })
    await eventually(() => /heap snapshot written/.test(command.stdout), 'the line of the log')
    assert.ok(statSync(stdout.trim()).size > 0)
    assert.doesNotMatch(command.stdout, /no heap snapshot written/)
  })

  it('names LISTEN_ADDR when no gateway answers', async () => {
    const { stderr, status } = await run(['heap'], { env: { LISTEN_ADDR: '127.0.0.1:1' } })
    assert.equal(status, 1)
    assert.match(stderr, /no gateway answers at http:\/\/127\.0\.0\.1:1 .*set LISTEN_ADDR/)
  })
})
