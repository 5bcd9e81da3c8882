import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, describe, it } from 'node:test'
import { settings } from '../../src/config/table.ts'
import { killCommands, run } from '../support/cli.ts'

const NAMES = Object.values(settings).map(({ env }) => env)
const README = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8')

/** What stands between the two markers of a part of the README. */
function part(name: string): string {
  const [, text] = new RegExp(`<!-- ${name} -->\\n([\\s\\S]*?)\\n<!-- /${name} -->`).exec(README) ?? []
  assert.ok(text, `README.md has a part ${name}`)
  return text
}

describe('wsproxy config', () => {
  after(killCommands)
  const env = { REDIS_URL: 'redis://user:hunter2@127.0.0.1:6379', WSPROXY_SESSION_RATE: '7', CONNECT_RATE: '' }

  it('prints every setting with its value and source, a line each', async () => {
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

  it('prints the same as JSON', async () => {
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

  it('shows no secret, whatever the format', async () => {
    for (const format of [[], ['--json'], ['--markdown']]) {
      const { stdout, stderr } = await run(['config', ...format], { env: { ...env, WSPROXY_TOKEN: 'hunter3' } })
      assert.doesNotMatch(stdout + stderr, /hunter/)
    }
  })

  it('prints with --markdown the table that the README has', async () => {
    const { status, stdout } = await run(['config', '--markdown'])
    assert.equal(status, 0)
    assert.equal(stdout.trimEnd(), part('settings').trim())
  })

  it('prints the table also where the environment is wrong, and the same one whatever it holds', async () => {
    const { status, stdout } = await run(['config', '--markdown'], { env: { WSPROXY_NOPE: '1', SESSION_RATE: '9' } })
    assert.equal(status, 0)
    assert.equal(stdout.trimEnd(), part('settings').trim())
  })

  it('says with status 2 what is wrong with the environment', async () => {
    const wrong = { REDIS_URL: 'http://u:hunter2@h', SESSION_RATE: 'x', WSPROXY_NOPE: '1' }
    const { status, stdout, complaints } = await run(['config'], { env: wrong })
    assert.equal(status, 2)
    assert.equal(stdout, '')
    assert.equal(complaints.length, 3)
    assert.doesNotMatch(complaints.join('\n'), /hunter2/)
  })
})
