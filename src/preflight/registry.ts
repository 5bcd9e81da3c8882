import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ConfigError } from '../config/load.ts'
import { isEventType } from '../contract/names.ts'
import { PACKAGE_ROOT } from '../contract/root.ts'
import { reasonOf } from '../platform/reason.ts'
import { builtInChecks } from './built-in.gen.ts'
import type { Check } from './check.ts'
import { checksIn } from './exports.ts'

/** The folder of the built-in checks. */
export const BUILT_IN = new URL('dist/src/preflight/checks/', PACKAGE_ROOT)

const NAME = /^[a-z0-9]+([_-][a-z0-9]+)*$/
const MAX_NAME = 64
const MAX_CHECKS = 200

/**
 * Loads the checks that each `.js` and `.mjs` file in the folders exports. Returns them and the
 * `given` ones in the order in which they run.
 * @throws ConfigError that names every file without a valid check and every name used twice.
 */
export async function loadChecks(folders: readonly URL[], given: readonly unknown[] = []): Promise<Check[]> {
  const problems: string[] = []
  const owners = new Map<string, string>()
  const checks: Check[] = []
  const add = (check: unknown, from: string) => {
    const problem = problemOf(check)
    if (problem !== undefined) return problems.push(`${from}: ${problem}`)
    const { name } = check as Check
    const owner = owners.get(name)
    if (owner !== undefined) return problems.push(`${from}: the check "${name}" is also in ${owner}`)
    owners.set(name, from)
    return checks.push(normal(check as Written))
  }
  for (const { folder, file } of await filesOf(folders)) {
    const imported = await load(folder, file).catch((error: unknown) => {
      problems.push(`${file}: cannot be loaded: ${reasonOf(error)}`)
    })
    if (imported === undefined) continue
    const found = checksIn(imported as object)
    if (typeof found === 'string') problems.push(`${file}: ${found}`)
    else for (const check of found) add(check, file)
  }
  for (const check of given) add(check, 'createGateway')
  if (checks.length > MAX_CHECKS) problems.push(`there are ${checks.length} checks; the most is ${MAX_CHECKS}`)
  if (problems.length > 0) throw new ConfigError(problems)
  return checks.sort((one, other) => one.priority - other.priority || (one.name < other.name ? -1 : 1))
}

/** The built-in checks are a part of the program, which may be one file (tools/bundle.mjs). */
const load = async (folder: URL, file: string): Promise<object> =>
  (folder === BUILT_IN ? builtInChecks.get(file) : undefined) ?? (await import(new URL(file, folder).href))

/** The URL of a folder, relative to the working directory of the process. */
export const folderUrl = (path: string): URL => pathToFileURL(join(path, '/'))

async function filesOf(folders: readonly URL[]): Promise<{ folder: URL; file: string }[]> {
  const lists = folders.map(async (folder) => {
    if (folder === BUILT_IN) return [...builtInChecks.keys()].map((file) => ({ folder, file }))
    const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
      throw new ConfigError([
        `the folder of checks ${decodeURIComponent(folder.pathname)} cannot be read (${error.code})`,
      ])
    })
    const files = names.filter((name) => /\.m?js$/.test(name)).sort()
    return files.map((file) => ({ folder, file: encodeURIComponent(file) }))
  })
  return (await Promise.all(lists)).flat()
}

function problemOf(check: unknown): string | undefined {
  if (typeof check !== 'object' || check === null) return 'its default export is not a check'
  const { name, priority, appliesTo, execute } = check as Record<string, unknown>
  if (typeof name !== 'string' || !NAME.test(name) || name.length > MAX_NAME)
    return `its name must be words of a-z and 0-9 joined by "-" or "_", at most ${MAX_NAME} characters (it is ${JSON.stringify(name)})`
  if (typeof priority !== 'number' || !Number.isFinite(priority) || priority < 0)
    return `the priority of "${name}" must be a number of 0 or more`
  const problem = appliesToProblem(appliesTo)
  if (problem !== undefined) return `appliesTo of "${name}" ${problem}`
  return typeof execute === 'function' ? undefined : `"${name}" has no function execute(launch, signal, context)`
}

/** A check with an event type that cannot occur would never run, and its author would not know. */
function appliesToProblem(appliesTo: unknown): string | undefined {
  if (appliesTo === undefined || appliesTo === null || appliesTo === 'all') return undefined
  if (!Array.isArray(appliesTo) || appliesTo.length === 0) return "must be 'all' or a list of event types"
  const wrong = appliesTo.find((type) => typeof type !== 'string' || !isEventType(type))
  return wrong === undefined
    ? undefined
    : `has ${JSON.stringify(wrong)}, which no run can have: an event type is 1 to 64 of [a-z0-9_.-]`
}

/** A check as a file has it. */
type Written = Pick<Check, 'name' | 'priority' | 'execute'> & {
  readonly appliesTo?: 'all' | readonly string[] | null
}

/** The check as the runner takes it. Its members may be those of a class. */
function normal(check: Written): Check {
  const { name, priority, appliesTo } = check
  const isForAll = appliesTo === undefined || appliesTo === null || appliesTo.includes('all')
  return {
    name,
    priority,
    appliesTo: isForAll ? 'all' : (appliesTo as readonly string[]),
    execute: (launch, signal, context) => check.execute(launch, signal, context),
  }
}
