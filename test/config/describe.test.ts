import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { describeSettings, settingsPage } from '../../src/config/describe.ts'
import { loadConfig } from '../../src/config/load.ts'
import { type Config, settings } from '../../src/config/table.ts'
import { problemsOf } from '../support/config.ts'

const KEYS = Object.keys(settings) as (keyof Config)[]

describe('a secret', () => {
  const shown = (url: string) =>
    describeSettings(loadConfig({ REDIS_URL: url })).find(({ name }) => name === 'REDIS_URL')?.value

  it('never appears in a problem', () => {
    for (const url of ['localhost:hunter2', 'http://u:hunter2@h', 'redis://u:hunter2@h/x', 'redis://u:hunter2@']) {
      for (const name of ['REDIS_URL', 'WSPROXY_REDIS_URL']) {
        const problems = problemsOf({ [name]: url })
        assert.equal(problems.length, 1)
        assert.ok(!problems.join().includes('hunter2'), problems[0])
      }
    }
  })

  it('is masked where the settings are shown, while the rest of its URL is not', () => {
    assert.equal(shown('redis://user:hunter2@redis.example.org:6380/2'), 'redis://user:***@redis.example.org:6380/2')
    assert.equal(shown('rediss://:hunter2@redis.example.org'), 'rediss://:***@redis.example.org')
    assert.equal(shown('redis://127.0.0.1:6379'), 'redis://127.0.0.1:6379')
  })

  it('in the query of a URL is not shown either, whether that URL is accepted or not', () => {
    const url = 'redis://127.0.0.1:6379/0?password=hunter2'
    const said = problemsOf({ REDIS_URL: url })
    assert.ok(!(said[0] ?? shown(url))?.includes('hunter2'))
  })

  it('that is not a URL is hidden entirely, even when it could be parsed as one', () => {
    const env = { ADMIN_TOKEN: 'abc:0123456789abcdef', SENTRY_DSN: 'https://hunter2@sentry.example.org/1' }
    const described = describeSettings(loadConfig(env))
    for (const name of Object.keys(env)) assert.equal(described.find((each) => each.name === name)?.value, '***', name)
  })
})

describe('the description of the settings', () => {
  it('lists every setting in the order of the table, with value and source', () => {
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

  it('gives each default as it would be written, and whole sentences', () => {
    for (const each of describeSettings()) {
      assert.match(each.description, /^\S.*[.)]$/, each.name)
      if (each.default === '') continue
      assert.deepEqual(loadConfig({ [each.name]: each.default }).config, loadConfig({}).config, each.name)
    }
  })
})

describe('the reference page of the settings', () => {
  it('has one row for each setting, with the cells of the heading', () => {
    const rows = settingsPage()
      .split('\n')
      .filter((line) => line.startsWith('| `'))
    assert.deepEqual(
      rows.map((row) => /^\| `(\w+)`/.exec(row)![1]),
      KEYS.map((key) => settings[key].env),
    )
    for (const row of rows) assert.equal(row.split(' | ').length, 6, row)
  })

  it('says which settings may also stand in a file', () => {
    const said = /`<NAME>_FILE` gives its path\. Secrets are (.*)\.$/m.exec(settingsPage())?.[1]
    const secrets = KEYS.filter((key) => settings[key].secret).map((key) => `\`${settings[key].env}\``)
    assert.ok(secrets.length > 0)
    assert.equal(said, secrets.join(', '))
  })
})
