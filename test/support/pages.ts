import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

/** The text of a file of the repository, by its path from the root. */
export const page = (path: string): string => readFileSync(join(ROOT, path), 'utf8')

/** README.md and every page of docs, by path from the root. */
export const PAGES: readonly string[] = [
  'README.md',
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.md'))
    .map((path) => `docs/${path}`),
]

/** The text below a heading of any level, up to the next heading. */
export function section(path: string, heading: string): string {
  const [, text] = page(path).split(new RegExp(`^##+ ${heading}\\n`, 'm'))
  assert.ok(text !== undefined, `${path} has a heading "${heading}"`)
  return text.split(/^##+ /m)[0]!
}

/** The text between `<!-- name -->` and `<!-- /name -->`. */
export function part(path: string, name: string): string {
  const [, text] = new RegExp(`<!-- ${name} -->\\n([\\s\\S]*?)\\n<!-- /${name} -->`).exec(page(path)) ?? []
  assert.ok(text !== undefined, `${path} has a part ${name}`)
  return text
}

/** The cells of each row of the first table of a text, without its heading and backquotes. */
export function tableRows(text: string): string[][] {
  const [, table] = /((?:^\|.*\n?)+)/m.exec(text) ?? []
  assert.ok(table !== undefined, 'there is a table')
  return table
    .trimEnd()
    .split('\n')
    .slice(2)
    .map((row) =>
      row
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim().replaceAll('`', '')),
    )
}
