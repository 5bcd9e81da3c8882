import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { ConfigError } from '../../src/config/load.ts'
import { BUILT_IN, loadChecks } from '../../src/preflight/registry.ts'
import { checkFolderFor, checkSource } from '../support/preflight.ts'
import { scopeOf } from '../support/scope.ts'

describe('the registry of checks', () => {
  const each = scopeOf(afterEach)
  let folder: ReturnType<typeof checkFolderFor>
  beforeEach(() => {
    folder = checkFolderFor(each)
  })

  const problemsOf = async (...others: URL[]): Promise<string[]> => {
    const error: unknown = await loadChecks([...others, folder.url]).catch((each: unknown) => each)
    assert.ok(error instanceof ConfigError, String(error))
    return [...error.problems]
  }

  it('the registry loads every built-in check, named like its file', async () => {
    const files = readdirSync(BUILT_IN)
      .filter((file) => file.endsWith('.js'))
      .map((file) => file.replace('.js', ''))
    assert.ok(files.length >= 16)
    const names = (await loadChecks([BUILT_IN])).map(({ name }) => name)
    assert.deepEqual(names.sort(), files.sort())
  })

  it('the registry loads a file added to a folder and sorts checks in running order', async () => {
    folder.add('a.js', checkSource('late', '', 20)).add('b.mjs', checkSource('early', '', 1))
    folder.add('notes.txt', 'no check').add('early.js.map', '{}')
    const names = (await loadChecks([folder.url])).map(({ name }) => name)
    assert.deepEqual(names, ['early', 'late'])
  })

  it('the registry rejects two checks of one name and names both files', async () => {
    folder.add('a.js', checkSource('same', '')).add('b.js', checkSource('same', ''))
    assert.deepEqual(await problemsOf(), ['b.js: the check "same" is also in a.js'])
  })

  it('the registry rejects a file with the name of a check in another folder', async () => {
    folder.add('a.js', checkSource('redis', ''))
    assert.deepEqual(await problemsOf(BUILT_IN), ['a.js: the check "redis" is also in redis.js'])
  })

  it('the registry reports every invalid check file with its reason at once', async () => {
    folder
      .add('a.js', 'export default 1')
      .add('b.js', 'export const check = {}')
      .add('c.js', checkSource('Not A Name', ''))
      .add('d.js', checkSource('d', '', -1))
      .add('e.js', checkSource('e', '', 0, '42'))
      .add('f.js', "export default { name: 'f', priority: 0, appliesTo: 'all' }")
      .add('g.js', 'this is no JavaScript')
      .add('h.js', "throw new Error('not today')")
      .add('i.js', checkSource('i', ''))
    const problems = await problemsOf()
    const expected = [
      /^a\.js: its default export is not a check$/,
      /^b\.js: it exports no check$/,
      /^c\.js: its name must be words .*"Not A Name"/,
      /^d\.js: the priority of "d" must be/,
      /^e\.js: appliesTo of "e" must be/,
      /^f\.js: "f" has no function execute/,
      /^g\.js: cannot be loaded: /,
      /^h\.js: cannot be loaded: not today$/,
    ]
    assert.equal(problems.length, expected.length, problems.join('\n'))
    for (const [i, pattern] of expected.entries()) assert.match(problems[i]!, pattern)
  })

  it('the registry takes classes, instances, lists and several exports of one file', async () => {
    const made = (name: string) => `{ name = '${name}'; priority = 10; async execute() { return { success: true } } }`
    folder
      .add('a.js', `export class DatabaseCheck ${made('database')}`)
      .add('b.js', `export class Other ${made('other_check')}\nexport default new Other()`)
      .add('c.js', `export default class ${made('c-class')}`)
      .add('d.js', `const d = (name) => ({ name, priority: 1, execute() {} })\nexport const list = [d('d1'), d('d2')]`)
      .add('e.js', `export const options = { a: 1 }, limit = 3\nexport class Client {}\nexport class E ${made('e')}`)
      .add(
        'f.js',
        "export default class { constructor() { this.name = 'f'; this.priority = 2; this.execute = () => {} } }",
      )
    const checks = await loadChecks([folder.url])
    assert.deepEqual(
      checks.map(({ name }) => name),
      ['d1', 'd2', 'f', 'c-class', 'database', 'e', 'other_check'],
    )
    assert.deepEqual([...new Set(checks.map(({ appliesTo }) => appliesTo))], ['all'])
  })

  it("the registry registers the checks of handlers with preFlightCheck(), and keeps the handler's this", async () => {
    folder.add(
      'handlers.js',
      `export class DiceCriticalTrigger {
        triggerType = 'dice_critical'
        preFlightCheck() {
          return { name: this.triggerType + '_vtt_connection', priority: 15, execute: async () => ({ success: true }) }
        }
      }
      const quiet = { preFlightCheck: () => undefined }
      const two = { preFlightCheck: () => ['x', 'y'].map((name) => ({ name, priority: 20, execute() {} })) }
      export const handlers = [quiet, two, { triggerType: 'none' }]`,
    )
    folder.add('wrong.js', "export const handler = { preFlightCheck: () => ({ name: 'z' }) }")
    folder.add('thrown.js', "export const handler = { preFlightCheck() { throw new Error('not ready') } }")
    assert.deepEqual(await problemsOf(), [
      'thrown.js: its check cannot be made: not ready',
      'wrong.js: the priority of "z" must be a number of 0 or more',
    ])
    const other = checkFolderFor(each).add('handlers.js', readFileSync(`${folder.path}/handlers.js`, 'utf8'))
    const names = (await loadChecks([other.url])).map(({ name }) => name)
    assert.deepEqual(names, ['dice_critical_vtt_connection', 'x', 'y'])
  })

  it("a check without appliesTo, or with 'all' among its types, applies to every run", async () => {
    folder
      .add('a.js', "export default { name: 'a', priority: 0, execute() {} }")
      .add('b.js', checkSource('b', '', 0, "['mail', 'all']"))
      .add('c.js', checkSource('c', '', 0, 'null'))
      .add('d.js', checkSource('d', '', 0, "['poll_launch']"))
    const types = (await loadChecks([folder.url])).map(({ appliesTo }) => appliesTo)
    assert.deepEqual(types, ['all', 'all', 'all', ['poll_launch']])
  })

  it('the registry rejects an event type that no run can have, and a list without any', async () => {
    folder
      .add('a.js', checkSource('a', '', 0, "['mail', 'Poll Launch']"))
      .add('b.js', checkSource('b', '', 0, '[]'))
      .add('c.js', checkSource('c', '', 0, "['all', '']"))
      .add('d.js', checkSource('d', '', 0, "'mail'"))
    assert.deepEqual(await problemsOf(), [
      'a.js: appliesTo of "a" has "Poll Launch", which no run can have: an event type is 1 to 64 of [a-z0-9_.-]',
      'b.js: appliesTo of "b" must be \'all\' or a list of event types',
      'c.js: appliesTo of "c" has "", which no run can have: an event type is 1 to 64 of [a-z0-9_.-]',
      'd.js: appliesTo of "d" must be \'all\' or a list of event types',
    ])
  })

  it('the registry names a folder that does not exist', async () => {
    folder.remove()
    const [problem] = await problemsOf()
    assert.match(problem!, /^the folder of checks .*wsproxy-checks-.* cannot be read \(ENOENT\)$/)
  })
})
