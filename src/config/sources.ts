import { readFileSync, statSync } from 'node:fs'
import { ALIASES, aliasesOf, WITHOUT_SETTING } from './aliases.ts'
import { composeListenAddr, composeRedisUrl, type Texts } from './compose.ts'
import { CLIENT_TOKEN } from './env.ts'
import { parseDuration } from './kinds.ts'
import { isServiceLink, nearestOf } from './near.ts'

/** Finds the text of each setting in the environment. */

/** A setting, as far as its names are concerned. */
interface Named {
  readonly env: string
  readonly secret: boolean
  readonly default: string | undefined
}

interface Found extends Texts {
  /** One line each; the start fails. */
  readonly problems: string[]
  /** One line each about what the environment says and the gateway does not use. */
  readonly notices: string[]
}

const PREFIX = 'WSPROXY_'
/** A name with this ending gives the path of a file that holds the secret. */
const FILE = '_FILE'
const MAX_SECRET_FILE_BYTES = 64 * 1024

/**
 * The texts of all settings by name, in the order `WSPROXY_<NAME>`, `<NAME>`, aliases; a secret may
 * also stand in a file, named by `<NAME>_FILE` after each of these names. An empty variable counts
 * as not set, and so does one that Kubernetes set for a Service.
 */
export function findTexts(env: NodeJS.ProcessEnv, settings: readonly Named[]): Found {
  const found: Found = { given: {}, from: {}, problems: [], notices: [] }
  const known = namesOf(settings)
  const own = withoutLinks(env, known, found.notices)
  for (const setting of settings) findText(own, setting, found, settings)
  stretchPongTimeouts(settings, found)
  composeListenAddr(found)
  composeRedisUrl(found)
  for (const [name, say] of Object.entries(WITHOUT_SETTING)) {
    const notice = own[name] ? say(own[name]) : undefined
    if (notice !== undefined) found.notices.push(notice)
  }
  found.problems.unshift(...unknownNames(own, known))
  return found
}

/** All names that mean something here. */
function namesOf(settings: readonly Named[]): ReadonlySet<string> {
  const own = settings.flatMap(({ env, secret }) => (secret ? [env, env + FILE] : [env]))
  const secrets = new Set(settings.filter(({ secret }) => secret).map(({ env }) => env))
  const aliases = ALIASES.flatMap(({ name, of }) => (secrets.has(of) ? [name, name + FILE] : [name]))
  return new Set([
    ...own,
    ...own.map((each) => PREFIX + each),
    ...aliases,
    ...Object.keys(WITHOUT_SETTING),
    CLIENT_TOKEN,
  ])
}

/** The environment without the variables of Services. Those that look like ours are named once. */
function withoutLinks(env: NodeJS.ProcessEnv, known: ReadonlySet<string>, notices: string[]): NodeJS.ProcessEnv {
  const links = Object.keys(env).filter(
    (name) =>
      isServiceLink(name, env[name] ?? '') || (name.startsWith(PREFIX) && !known.has(name) && /_PORT(_|$)/.test(name)),
  )
  const ours = links.filter((name) => name.startsWith(PREFIX) || known.has(name))
  if (ours.length > 0)
    notices.push(`${ours.join(', ')}: ignored, Kubernetes set them for a Service (enableServiceLinks: false ends that)`)
  const hidden = new Set(links)
  return Object.fromEntries(Object.entries(env).filter(([name]) => !hidden.has(name)))
}

function findText(env: NodeJS.ProcessEnv, setting: Named, found: Found, settings: readonly Named[]): void {
  const { given, from, notices } = found
  const textOf = (name: string) => given[name] ?? settings.find((each) => each.env === name)?.default ?? ''
  const candidates = [
    { name: PREFIX + setting.env, read: undefined },
    { name: setting.env, read: undefined },
    ...aliasesOf(setting.env),
  ]
  for (const [place, { name, read }] of candidates.entries()) {
    const set = [name, ...(setting.secret ? [name + FILE] : [])].filter((each) => env[each])
    if (set.length === 0) continue
    const variable = set[0]!
    const written = variable === name ? env[name] : secretIn(variable, env[variable]!, found)
    const text = read && written !== undefined ? read(written, textOf) : written
    if (text === undefined) continue
    if (given[setting.env] === undefined) {
      given[setting.env] = text
      from[setting.env] = variable
    } else if (place > 1 && given[setting.env] !== text) {
      notices.push(`${variable}: ignored, since ${from[setting.env]} is set to something else`)
    }
  }
}

/** The secret in the file at `path`, without the line end that editors add. */
function secretIn(variable: string, path: string, { problems }: Found): string | undefined {
  try {
    const { size } = statSync(path)
    if (size > MAX_SECRET_FILE_BYTES)
      throw new Error(`has ${size} bytes; a secret has at most ${MAX_SECRET_FILE_BYTES}`)
    const text = readFileSync(path, 'utf8').replace(/[\r\n]+$/, '')
    if (text === '') throw new Error('is empty')
    return text
  } catch (error) {
    problems.push(`${variable}: cannot read the secret in ${JSON.stringify(path)}: ${(error as Error).message}`)
    return undefined
  }
}

/**
 * The other programs have no rule between interval and timeout. Where an alias makes the interval
 * as long as our default timeout, the timeout becomes twice the interval.
 */
function stretchPongTimeouts(settings: readonly Named[], { given, from }: Found): void {
  for (const door of ['', 'RUN_']) {
    const [interval, timeout] = [`${door}PING_INTERVAL`, `${door}PONG_TIMEOUT`]
    const isAlias = ALIASES.some(({ name }) => name === from[interval])
    const unset = settings.find(({ env }) => env === timeout)?.default
    const intervalMs = parseDuration(given[interval] ?? '') ?? 0
    if (!isAlias || given[timeout] !== undefined || intervalMs < (parseDuration(unset ?? '') ?? 0)) continue
    given[timeout] = `${2 * intervalMs}ms`
    from[timeout] = from[interval]!
  }
}

/** A problem for each name with our prefix that is no setting: it is probably misspelt. */
function unknownNames(env: NodeJS.ProcessEnv, known: ReadonlySet<string>): string[] {
  const unknown = Object.keys(env).filter((name) => name.startsWith(PREFIX) && !known.has(name))
  if (unknown.length === 0) return []
  const nearest = nearestOf([...known].filter((name) => name.startsWith(PREFIX)))
  return unknown.map((name) => {
    const meant = nearest(name)
    return meant === undefined
      ? `${name}: no such setting ("wsproxy config --markdown -" lists all of them)`
      : `${name}: no such setting; did you mean ${meant}?`
  })
}

/**
 * A line for each variable whose name is nearly one of ours. Not a part of `findTexts`, which a
 * start calls three times.
 */
export function nearNames(env: NodeJS.ProcessEnv, settings: readonly Named[]): string[] {
  const known = namesOf(settings)
  const nearest = nearestOf([...known].filter((name) => !name.startsWith(PREFIX)))
  return Object.keys(env)
    .filter((name) => env[name] && /^[A-Z][A-Z0-9_]*$/.test(name) && !name.startsWith(PREFIX) && !known.has(name))
    .filter((name) => !isServiceLink(name, env[name] ?? ''))
    .flatMap((name) => {
      const meant = nearest(name)
      return meant === undefined ? [] : [`${name}: not a setting; did you mean ${meant}?`]
    })
}
