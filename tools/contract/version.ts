/** What a change means for a client of the contract. */
export type Level = 'none' | 'patch' | 'minor' | 'major'

const parts = (version: string): number[] | undefined =>
  /^\d+\.\d+\.\d+$/.test(version) ? version.split('.').map(Number) : undefined

/** By how much a version was raised; undefined when it went down or is invalid. */
export function raised(before: string, after: string): Level | undefined {
  const [from, to] = [parts(before), parts(after)]
  if (!from || !to) return undefined
  const first = from.findIndex((number, i) => number !== to[i])
  if (first < 0) return 'none'
  return to[first]! > from[first]! ? (['major', 'minor', 'patch'] as const)[first]! : undefined
}

export const RANK: Readonly<Record<Level, number>> = { none: 0, patch: 1, minor: 2, major: 3 }

/** The problems of a version for a change of this level; empty for a correct version. */
export function verdictOn(level: Level, before: string, after: string, changelog: string): string[] {
  const by = raised(before, after)
  if (by === undefined)
    return [`the version went from ${before} to ${after}: it must be three numbers and may only rise`]
  const problems: string[] = []
  if (RANK[by] < RANK[level])
    problems.push(`this is a ${level} change: raise the version accordingly (it went from ${before} to ${after})`)
  if (level === 'major' && !hasMigrationNote(changelog, after)) {
    problems.push(
      `CHANGELOG.md: a major change needs a section "## Contract ${after}" with a line that begins with "Migration:"`,
    )
  }
  return problems
}

function hasMigrationNote(changelog: string, version: string): boolean {
  const part = changelog.split(/^## /m).find((each) => each.startsWith(`Contract ${version}\n`))
  return part !== undefined && /^(?:- )?\**Migration:\**\s*\S/m.test(part)
}
