import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { page, section } from '../support/pages.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const TABLES = ['Threats', 'What waits, and its bound']

/** A test file and the titles that a row names behind it. */
const REFERENCE = /(test\/[\w/.-]+\.test\.ts)((?:,? "[^"|]+")*)/g

/** The rows of the tables, without their headings. */
const rows = TABLES.flatMap((heading) => {
  const lines = section('SECURITY.md', heading).split('\n')
  return lines.filter((line) => line.startsWith('| ')).slice(1)
})

const referencesIn = (row: string): [path: string, titles: string[]][] =>
  [...row.matchAll(REFERENCE)].map(([, path, titles]) => [
    path!,
    [...titles!.matchAll(/"([^"]+)"/g)].map(([, title]) => title!),
  ])

/** The titles of a test file. A part that is computed stands for any text. */
function titlesOf(path: string): RegExp[] {
  const calls = /\b(?:it|describe)\(\s*(?:'((?:[^'\\]|\\.)*)'|"([^"]*)"|`([^`]*)`)/g
  return [...page(path).matchAll(calls)].map(([, single, double, template]) => {
    const text = (single ?? double ?? template)!.replaceAll("\\'", "'")
    const parts = template === undefined ? [text] : text.split(/\$\{(?:[^{}]|\{[^}]*\})*\}/)
    return new RegExp(`^${parts.map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('.+')}$`)
  })
}

describe('SECURITY.md', () => {
  it('names a test for every threat and every bound', () => {
    assert.ok(rows.length > 30)
    for (const row of rows) {
      const references = referencesIn(row)
      assert.ok(references.length > 0, `no test: ${row}`)
      for (const [path, titles] of references) assert.ok(titles.length > 0, `no title of ${path}: ${row}`)
    }
  })

  it('names test files and titles that are there', () => {
    for (const row of rows) {
      for (const [path, titles] of referencesIn(row)) {
        assert.ok(existsSync(join(ROOT, path)), path)
        const real = titlesOf(path)
        for (const title of titles)
          assert.ok(
            real.some((each) => each.test(title)),
            `${path}: ${title}`,
          )
      }
    }
  })

  it('names no test file in its text that is missing', () => {
    for (const [path] of page('SECURITY.md').matchAll(/\btest\/[\w/.-]+\.ts\b/g))
      assert.ok(existsSync(join(ROOT, path)), path)
  })
})
