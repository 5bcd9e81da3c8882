import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { closes, frameErrors, refusals } from '../src/contract/codes.ts'
import { LOSS_REASONS } from '../src/contract/reasons.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const PAGE = readFileSync(join(ROOT, 'docs/development/architecture.md'), 'utf8')

const part = (name: string): string => {
  const [, text] = new RegExp(`<!-- ${name} -->\\n([\\s\\S]*?)\\n<!-- /${name} -->`).exec(PAGE) ?? []
  assert.ok(text, `architecture.md has a part ${name}`)
  return text
}

/** Refusals that no upgrade gets: those of admin calls, of request bodies and of streams. */
const NOT_OF_UPGRADES = [
  'bad-request',
  'body-too-large',
  'admin-required',
  'admin-rejected',
  'admin-disabled',
  'admin-limited',
  'revocations-full',
  'bad-credentials',
  'login-required',
  'refresh-rejected',
  'role-required',
  'login-limited',
  'stream-conflict',
  'producer-gap',
  'producer-stale',
  'offset-gone',
  'forks-unsupported',
]

describe('the architecture page', () => {
  it('shows every refusal of an upgrade with its status, and none that does not exist', () => {
    const shown = [...part('upgrade').matchAll(/\.{3,} (\d{3}) ([\w-]+)/g)].map(
      ([, status, code]) => `${code} ${status}`,
    )
    const real = Object.values(refusals)
      .filter(({ code }) => !NOT_OF_UPGRADES.includes(code))
      .map(({ code, status }) => `${code} ${status.slice(0, 3)}`)
    assert.deepEqual([...new Set(shown)].sort(), real.sort())
  })

  it('says which file begins each close code, and the file exists', () => {
    const rows = [...part('closes').matchAll(/^\| (\d{4}) \| (.*) \|$/gm)]
    assert.deepEqual(
      rows.map(([, code]) => Number(code)),
      [...new Set(Object.values(closes).map(({ code }) => code))].sort((a, b) => a - b),
    )
    for (const [, , text] of rows)
      for (const [, path] of text!.matchAll(/`((?:connection|doors|gateway)\/[\w./]+)`/g))
        assert.ok(existsSync(join(ROOT, 'src', path!)), path)
  })

  it('shows only losses and frame errors that exist, and every one that a client frame can have', () => {
    const losses = [...PAGE.matchAll(/lost: ([a-z_]+)/g)].map(([, reason]) => reason!)
    for (const reason of losses) assert.ok((LOSS_REASONS as readonly string[]).includes(reason), reason)
    assert.deepEqual([...new Set(losses)].sort(), LOSS_REASONS.filter((each) => each !== 'drain').sort())
    for (const [, code] of PAGE.matchAll(/error ([a-z]+(?:-[a-z]+)+)/g))
      assert.ok(Object.hasOwn(frameErrors, code!), code)
  })

  it('has a row for each folder of src', () => {
    const rows = [...PAGE.matchAll(/^\| `(\w+)\/` \|/gm)].map(([, folder]) => folder)
    assert.deepEqual(rows.sort(), readdirSync(join(ROOT, 'src')).sort())
  })
})

describe('the decisions', () => {
  const folder = join(ROOT, 'docs/development/decisions')
  const files = readdirSync(folder).filter((file) => /^\d{4}-/.test(file))

  it('are all listed on their page, and have the four parts', () => {
    const index = readFileSync(join(folder, 'README.md'), 'utf8')
    assert.deepEqual([...index.matchAll(/\((\d{4}-[\w-]+\.md)\)/g)].map(([, file]) => file).sort(), files.sort())
    for (const file of files) {
      const text = readFileSync(join(folder, file), 'utf8')
      for (const name of ['Why it came up', 'Decision', 'Evidence', 'What follows'])
        assert.ok(text.includes(`**${name}.**`), file)
    }
  })
})

describe('PATCHES.md', () => {
  it('gives a reason for every dependency', () => {
    const text = readFileSync(join(ROOT, 'PATCHES.md'), 'utf8')
    const { dependencies, devDependencies, optionalDependencies } = JSON.parse(
      readFileSync(join(ROOT, 'package.json'), 'utf8'),
    )
    const listed = [...text.matchAll(/`([@\w./*-]+)`/g)].map(([, name]) => name!)
    const covers = (name: string) =>
      listed.some((each) => (each.endsWith('/*') ? name.startsWith(each.slice(0, -1)) : each === name))
    for (const name of Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies }))
      assert.ok(covers(name), `PATCHES.md names ${name}`)
  })
})
