import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { settings } from '../../src/config/table.ts'
import { killCommands, run } from '../support/cli.ts'

const NAMES = Object.values(settings).map(({ env }) => env)
const PAGE = readFileSync(new URL('../../../docs/reference/settings.md', import.meta.url), 'utf8')

describe('wsproxy config', () => {
  after(killCommands)
  const env = { REDIS_URL: 'redis://user:hunter2@127.0.0.1:6379', WSPROXY_SESSION_RATE: '7', CONNECT_RATE: '' }

  it('config prints each setting with its value and source on one line', async () => {
    const { status, stdout, stderr } = await run(['config'], { env })
    assert.equal(status, 0)
    assert.equal(stderr, '')
    const rows = stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.trim().split(/\s{2,}/))
    assert.deepEqual(
      rows.map(([name]) => name),
      NAMES,
    )
    const find = (name: string) => rows.find(([each]) => each === name)
    assert.deepEqual(find('SESSION_RATE'), ['SESSION_RATE', '7', 'WSPROXY_SESSION_RATE'])
    assert.deepEqual(find('CONNECT_RATE'), ['CONNECT_RATE', '2000', 'default'])
    assert.deepEqual(find('REDIS_URL'), ['REDIS_URL', 'redis://user:***@127.0.0.1:6379', 'REDIS_URL'])
  })

  it('config shows which name gave a value, and complains about names that are nearly ours', async () => {
    const { status, stdout, complaints } = await run(['config'], {
      env: { LIVE_WS_PORT: '9107', REDIS_HOST: 'cache', PREFLIGHT_REDIS_PASSWORD: 'hunter2', REDIS_ULR: 'redis://x' },
    })
    assert.equal(status, 0)
    assert.match(stdout, /^LISTEN_ADDR +0\.0\.0\.0:9107 +LIVE_WS_PORT$/m)
    assert.match(stdout, /^REDIS_URL +redis:\/\/:\*\*\*@cache:6379 +REDIS_HOST, PREFLIGHT_REDIS_PASSWORD$/m)
    assert.deepEqual(complaints, ['REDIS_ULR: not a setting; did you mean REDIS_URL?'])
    assert.doesNotMatch(stdout, /hunter/)
  })

  it('config --json prints all settings as JSON', async () => {
    const { status, stdout } = await run(['config', '--json'], { env })
    assert.equal(status, 0)
    const parsed = JSON.parse(stdout) as Record<string, string>[]
    assert.deepEqual(
      parsed.map(({ name }) => name),
      NAMES,
    )
    const { name, value, source } = parsed.find((each) => each.name === 'SESSION_RATE')!
    assert.deepEqual({ name, value, source }, { name: 'SESSION_RATE', value: '7', source: 'WSPROXY_SESSION_RATE' })
  })

  it('config shows no secret in any format', async () => {
    for (const format of [[], ['--json'], ['--markdown', '-']]) {
      const { stdout, stderr } = await run(['config', ...format], { env: { ...env, WSPROXY_TOKEN: 'hunter3' } })
      assert.doesNotMatch(stdout + stderr, /hunter/)
    }
  })

  it('prints with --markdown - the page docs/reference/settings.md', async () => {
    const { status, stdout } = await run(['config', '--markdown', '-'])
    assert.equal(status, 0)
    assert.equal(stdout, PAGE, 'docs/reference/settings.md is stale; run: npm run generate')
  })

  it('writes with --markdown the same page, whatever the environment contains', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'wsproxy-config-'))
    try {
      const path = join(folder, 'settings.md')
      const env = { WSPROXY_NOPE: '1', SESSION_RATE: '9' }
      const { status, stdout } = await run(['config', '--markdown', path], { env })
      assert.equal(status, 0)
      assert.equal(stdout, `${path}\n`)
      assert.equal(readFileSync(path, 'utf8'), PAGE)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('fails with status 1 and the path when it cannot write the page', async () => {
    const { status, complaints } = await run(['config', '--markdown', '/nowhere/settings.md'])
    assert.equal(status, 1)
    assert.equal(complaints.length, 1)
    assert.match(complaints[0]!, /cannot write \/nowhere\/settings\.md .*--markdown -/)
  })

  it('exits with status 2 and one line for each problem of the environment', async () => {
    const wrong = { REDIS_URL: 'http://u:hunter2@h', SESSION_RATE: 'x', WSPROXY_NOPE: '1' }
    const { status, stdout, complaints } = await run(['config'], { env: wrong })
    assert.equal(status, 2)
    assert.equal(stdout, '')
    assert.equal(complaints.length, 3)
    assert.doesNotMatch(complaints.join('\n'), /hunter2/)
  })
})
