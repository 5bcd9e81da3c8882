import { environment } from './env.ts'
import { problemsBetween } from './rules.ts'
import type { Shares } from './shares.ts'
import { findTexts, nearNames } from './sources.ts'
import { type Config, settings } from './table.ts'
import { validateSettings } from './validate.gen.ts'

/** What is wrong with the environment, one line a problem. */
export class ConfigError extends Error {
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.name = 'ConfigError'
    this.problems = problems
  }
}

export interface Loaded {
  readonly config: Config
  /** The variables that each value came from, or `default`. */
  readonly sources: Readonly<Record<keyof Config, string>>
  /** The text of each setting that is set, by its name without the prefix. */
  readonly given: Readonly<Record<string, string>>
  /** What one of several workers has of each limit. Unset: this process has the limits alone. */
  readonly shares?: Shares
  /** What is set and not used, or probably misspelt; one line each. */
  readonly notices: readonly string[]
}

const ENTRIES = Object.entries(settings) as [keyof Config, (typeof settings)[keyof Config]][]

/**
 * Reads and checks all settings once. Durations are milliseconds, sizes are bytes. For each setting
 * `WSPROXY_<NAME>` wins over `<NAME>`, then come its aliases; an empty variable counts as not set.
 * @throws ConfigError with all problems: bad values, unknown `WSPROXY_*` names, contradictions.
 */
export function loadConfig(env: NodeJS.ProcessEnv = environment()): Loaded {
  const all = ENTRIES.map(([, setting]) => setting)
  const { given, from, problems, notices } = findTexts(env, all)
  notices.push(...nearNames(env, all))
  // The validation fills in the defaults and replaces each text with its value.
  const values: Record<string, unknown> = { ...given }
  validateSettings(values)
  const invalid = new Set<string>()
  for (const { instancePath, message } of validateSettings.errors ?? []) {
    const [key, { env: name, secret }] = ENTRIES.find(([, each]) => each.env === instancePath.slice(1))!
    invalid.add(key)
    problems.push(`${name}: ${message}${secret ? '' : ` (it is ${JSON.stringify(given[name])})`}${origin(name, from)}`)
  }
  const config = Object.freeze(Object.fromEntries(ENTRIES.map(([key, { env }]) => [key, values[env]])))
  problems.push(...problemsBetween(config as unknown as Config, invalid))
  if (problems.length > 0) throw new ConfigError(problems)
  const sources = Object.fromEntries(ENTRIES.map(([key, { env: name }]) => [key, from[name] ?? 'default']))
  return { config: config as unknown as Config, sources: sources as Loaded['sources'], given, notices }
}

/** Names the variable where the text of a setting came from another name. */
const origin = (name: string, from: Readonly<Record<string, string>>): string =>
  from[name] === name || from[name] === undefined ? '' : `, from ${from[name]}`
