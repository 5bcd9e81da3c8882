import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
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
      /^b\.js: its default export is not a check$/,
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

  it('the registry names a folder that does not exist', async () => {
    folder.remove()
    const [problem] = await problemsOf()
    assert.match(problem!, /^the folder of checks .*wsproxy-checks-.* cannot be read \(ENOENT\)$/)
  })
})
