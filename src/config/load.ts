import { Ajv, type ErrorObject } from 'ajv'
import type { DataValidationCxt } from 'ajv/dist/types/index.js'
import { parseAddress, type Setting } from './kinds.ts'
import { liveProblems } from './live.ts'
import { contradictions } from './rules.ts'
import { settings } from './table.ts'

/**
 * Settings come from environment variables only, are read once and never change. This file is the only reader of process.env.
 * Every variable `X` may also be given as `WSPROXY_X`, which wins.
 */

type Typed<T> = T extends Setting<infer V> ? V : never
export type Config = { readonly [K in keyof typeof settings]: Typed<(typeof settings)[K]> }

/** What is wrong with the environment, one line a problem. */
export class ConfigError extends Error {
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.name = 'ConfigError'
    this.problems = problems
  }
}

const DURATION_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1e3, m: 60e3, h: 3600e3, d: 86400e3 }
/** Timers of Node hold 31 bits of milliseconds. */
const MAX_DURATION_MS = 24 * DURATION_UNITS.d!

/** `500ms`, `5s`, `1m30s` or plain seconds, as milliseconds; undefined when it is none of these. */
export function parseDuration(text: string): number | undefined {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1e3
  if (!/^(\d+(\.\d+)?(ms|[smhd]))+$/.test(text)) return undefined
  return Array.from(text.matchAll(/([\d.]+)(ms|[smhd])/g)).reduce(
    (sum, [, n, u]) => sum + Number(n) * DURATION_UNITS[u!]!,
    0,
  )
}

/** A whole number in digits; undefined when it is none, or too large to be exact. */
function parseInteger(text: string): number | undefined {
  return /^-?\d+$/.test(text) && Number.isSafeInteger(Number(text)) ? Number(text) : undefined
}

/** `64KB`, `10MiB` or bytes; a K is 1024 with and without the i. Undefined when it is none of these. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?) ?(?:([KMG])i?)?B?$/i.exec(text)
  if (!match) return undefined
  const power = ' KMG'.indexOf((match[2] ?? ' ').toUpperCase())
  return Math.floor(Number(match[1]) * 1024 ** power)
}

function parseRedisUrl(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined
  const { protocol, hostname, pathname, username, password } = new URL(text)
  // Percent-encoding that cannot be decoded would only show when somebody connects.
  if (/%(?![0-9a-f]{2})/i.test(username + password)) return undefined
  return /^rediss?:$/.test(protocol) && hostname !== '' && /^(\/\d*)?$/.test(pathname) ? text : undefined
}

const parseHttpUrl = (text: string): string | undefined =>
  URL.canParse(text) && /^https?:$/.test(new URL(text).protocol) ? text : undefined

const unlimited = Number.POSITIVE_INFINITY

/** An ajv that also turns text into what it means, in place. */
function compile() {
  const ajv = new Ajv({
    allErrors: true,
    useDefaults: true,
    coerceTypes: true,
    strict: true,
    // It runs once: to look at the schema and to optimize what is made of it takes longer than that.
    meta: false,
    validateSchema: false,
    code: { optimize: false },
  })
  const convert = (keyword: string, parse: (text: string) => unknown, expected: string, max = unlimited) => {
    const unit = { size: ' bytes', duration: ' ms' }[keyword] ?? ''
    ajv.addKeyword({
      keyword,
      modifying: true,
      validate: function validate(
        limit: { minimum?: number; maximum?: number },
        text: string,
        _?: unknown,
        at?: DataValidationCxt,
      ) {
        const value = parse(text)
        const problem =
          value === undefined
            ? `must be ${expected}`
            : typeof value === 'number' && value < (limit.minimum ?? 0)
              ? `must be at least ${limit.minimum ?? 0}${unit}`
              : typeof value === 'number' && value > (limit.maximum ?? max)
                ? `must be at most ${limit.maximum ?? max}${unit}`
                : undefined
        if (problem === undefined && at) at.parentData[at.parentDataProperty] = value
        else
          (validate as { errors?: Partial<ErrorObject>[] }).errors = [{ keyword, message: problem ?? '', params: {} }]
        return problem === undefined
      },
    })
  }
  convert('duration', parseDuration, 'a duration such as 500ms, 5s, 1m30s or plain seconds', MAX_DURATION_MS)
  convert('integer', parseInteger, 'an integer')
  convert('size', parseSize, 'a size such as 64KB, 10MiB or plain bytes')
  convert(
    'list',
    (text) =>
      Object.freeze(
        text
          .split(',')
          .map((item) => item.trim())
          .filter(Boolean),
      ),
    'a list',
  )
  convert('address', parseAddress, 'host:port, for example 127.0.0.1:8080')
  convert('httpUrl', parseHttpUrl, 'http://host[:port][/path] or https://...')
  convert('redisUrl', parseRedisUrl, 'redis://[user:password@]host[:port][/db] or rediss://...')
  return ajv.compile<Record<string, unknown>>({
    type: 'object',
    properties: Object.fromEntries(Object.values(settings).map((each) => [each.env, each.schema])),
  })
}

/** Has the prefix but is no setting of the gateway: `clientToken`. */
const CLIENT_TOKEN = 'WSPROXY_TOKEN'
const PREFIX = 'WSPROXY_'

const validate = compile()

/** Where a value came from: the name of a variable, or `default`. */
export type Sources = Readonly<Record<keyof Config, string>>

export interface Loaded {
  readonly config: Config
  readonly sources: Sources
  /** By variable, as it was written. */
  readonly given: Readonly<Record<string, string>>
}

/**
 * Reads and checks all settings. Durations come out in milliseconds, sizes in bytes. An empty variable counts as not set.
 * @throws ConfigError with every problem at once: bad values, unknown `WSPROXY_*` names, contradictions.
 */
export function loadConfig(env: NodeJS.ProcessEnv = process.env): Loaded {
  const names = new Set(Object.values(settings).map((each) => PREFIX + each.env))
  const problems = Object.keys(env)
    .filter((name) => name.startsWith(PREFIX) && name !== CLIENT_TOKEN && !names.has(name))
    .map((name) => `${name}: there is no such setting (see "wsproxy config --markdown")`)

  const given: Record<string, string> = {}
  const sources: Record<string, string> = {}
  for (const [key, { env: name, aliases }] of Object.entries(settings)) {
    const source = [PREFIX + name, name, ...aliases].find((each) => env[each] !== undefined && env[each] !== '')
    sources[key] = source ?? 'default'
    if (source !== undefined) given[name] = env[source]!
  }
  const raw: Record<string, unknown> = { ...given }
  if (!validate(raw)) problems.push(...(validate.errors ?? []).map((error) => describe(error, given)))
  const config = Object.freeze(
    Object.fromEntries(Object.entries(settings).map(([key, each]) => [key, raw[each.env]])),
  ) as unknown as Config
  problems.push(...contradictions(config), ...liveProblems(config))
  if (problems.length > 0) throw new ConfigError(problems)
  return { config, sources: sources as Sources, given }
}

function describe(error: ErrorObject, given: Readonly<Record<string, unknown>>): string {
  const name = error.instancePath.slice(1)
  const secret = Object.values(settings).some((each) => each.env === name && each.secret)
  const allowed = error.keyword === 'enum' ? `: ${error.params.allowedValues.join(', ')}` : ''
  return `${name}: ${error.message}${allowed}${secret ? '' : ` (it is ${JSON.stringify(given[name])})`}`
}

/** A setting as people read it. */
export interface EffectiveSetting {
  readonly name: string
  readonly kind: string
  /** As it was written; `***` for a secret, with the rest of a URL kept; empty: not set. */
  readonly value: string
  readonly source: string
  readonly default: string
  readonly description: string
}

/** All settings in the order of their table; without `loaded` as they are by default. */
export function describeSettings(loaded?: Loaded): EffectiveSetting[] {
  return Object.entries(settings).map(([key, each]) => {
    const source = loaded?.sources[key as keyof Config] ?? 'default'
    const given = loaded?.given[each.env] ?? each.default ?? ''
    return {
      name: each.env,
      kind: each.kind,
      value: each.secret ? mask(given) : given,
      source,
      default: each.default === undefined || each.default === '' ? '' : `\`${each.default}\``,
      description: each.description,
    }
  })
}

function mask(secret: string): string {
  if (!URL.canParse(secret)) return secret === '' ? '' : '***'
  const url = new URL(secret)
  if (url.password !== '') url.password = '***'
  if (url.search !== '') url.search = '***'
  return url.href
}

/** The token that `wsproxy connect` uses when it is given none on the command line, where every process list would show it. */
export const clientToken = (): string | undefined => process.env[CLIENT_TOKEN] || undefined

/** uWebSockets.js reads its header limit from here when it is loaded: 16 KB, so that a JWT fits (its own default is 4 KB). */
export function raiseHeaderLimit(): void {
  process.env.UWS_HTTP_MAX_HEADERS_SIZE ??= '16384'
}
