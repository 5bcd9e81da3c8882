/**
 * `npm run contract:diff -- old.json new.json` prints the kind of change and checks that the
 * version was raised accordingly. Exit status 1: it was not, or a major change has no note in
 * CHANGELOG.md. Exit status 2: the files cannot be read.
 */
import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { changesBetween } from './changes.ts'
import type { ContractSchema } from './schema.ts'
import { type Level, RANK, verdictOn } from './version.ts'

export interface Difference {
  readonly level: Level
  readonly changes: readonly string[]
  /** Why the new version may not be published; empty when it may. */
  readonly problems: readonly string[]
}

/** Compares two versions of the contract. `changelog` is the text that must note a major change. */
export function difference(before: ContractSchema, after: ContractSchema, changelog: string): Difference {
  const changes = changesBetween(before, after)
  const level = changes.reduce<Level>((most, { level }) => (RANK[level] > RANK[most] ? level : most), 'none')
  const lines = changes.map(({ level, where, what }) => `${level}: ${where}: ${what}`)
  return { level, changes: lines, problems: verdictOn(level, before.version, after.version, changelog) }
}

function main([before, after]: readonly string[]): number {
  if (before === undefined || after === undefined) {
    process.stderr.write('usage: npm run contract:diff -- old.json new.json\n')
    return 2
  }
  const read = (path: string) => JSON.parse(readFileSync(path, 'utf8')) as ContractSchema
  const changelog = readFileSync(new URL('../../../CHANGELOG.md', import.meta.url), 'utf8')
  const { level, changes, problems } = difference(read(before), read(after), changelog)
  for (const change of changes) process.stdout.write(`${change}\n`)
  process.stdout.write(`${level}\n`)
  for (const problem of problems) process.stderr.write(`${problem}\n`)
  return problems.length > 0 ? 1 : 0
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  try {
    process.exitCode = main(process.argv.slice(2))
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
    process.exitCode = 2
  }
}
