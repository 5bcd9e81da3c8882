import { parseRedisAddress } from './redis-address.ts'

/** The kinds of settings: how a setting is declared, and how its text becomes a value. */

/** Bounds are written like the values themselves: `10ms`, `64MiB`, `65535`. */
interface Bounds {
  /** Unset: 0. */
  readonly minimum?: string
  readonly maximum?: string
}

interface Declaration<D extends string | undefined> extends Bounds {
  readonly default: D
  readonly description: string
  /** What an integer counts, for the reference page. */
  readonly unit?: string
  readonly secret?: boolean
}

/** A setting without its group. */
export interface Declared<T> {
  readonly env: string
  readonly kind: Kind
  /** Empty: any value of the kind. */
  readonly choices: readonly string[]
  /** As it would be written in the environment; undefined: not set. */
  readonly default: string | undefined
  readonly bounds: Bounds
  /** The unit of a number that is written without one. */
  readonly unit: string
  readonly description: string
  readonly secret: boolean
  /** Only carries the type of the value to `Config`; never set. */
  readonly type?: T
}

export interface Setting<T> extends Declared<T> {
  readonly group: string
}

/** A host and a port to listen on. */
export interface Address {
  readonly host: string
  readonly port: number
}

/** Returns an integer, or `auto`; undefined for other text. */
const parseIntegerOrAuto = (text: string): number | 'auto' | undefined => (text === 'auto' ? text : parseInteger(text))

const DURATION_UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1e3, m: 60e3, h: 3600e3, d: 86400e3 }
/** Node's timers hold 31 bits of milliseconds. */
const MAX_DURATION = '24d'

/** Returns milliseconds for `500ms`, `5s`, `1m30s` or plain seconds; undefined for other text. */
export function parseDuration(text: string): number | undefined {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1e3
  if (!/^(\d+(\.\d+)?(ms|[smhd]))+$/.test(text)) return undefined
  return Array.from(text.matchAll(/([\d.]+)(ms|[smhd])/g)).reduce(
    (sum, [, amount, unit]) => sum + Number(amount) * DURATION_UNITS_MS[unit!]!,
    0,
  )
}

/**
 * Returns bytes for `64KB`, `10MiB` (a K is always 1024) or plain bytes; undefined for other text.
 */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?) ?(?:([KMG])i?)?B?$/i.exec(text)
  if (!match) return undefined
  const power = ' KMG'.indexOf((match[2] ?? ' ').toUpperCase())
  return Math.floor(Number(match[1]) * 1024 ** power)
}

/** Returns undefined when the text is not decimal digits, or too large to be exact. */
const parseInteger = (text: string): number | undefined =>
  /^-?\d+$/.test(text) && Number.isSafeInteger(Number(text)) ? Number(text) : undefined

/**
 * Parses `host:port`, `[ipv6]:port` or `:port` (all addresses); returns undefined for other text.
 */
export function parseAddress(text: string): Address | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:\s]*)):(\d{1,5})$/i.exec(text)
  const port = Number(match?.[3])
  return match && port <= 65535 ? { host: match[1] ?? (match[2] || '0.0.0.0'), port } : undefined
}

function parseList(text: string): readonly string[] {
  const entries = text.split(',').map((entry) => entry.trim())
  return Object.freeze(entries.filter((entry) => entry !== ''))
}

function parseRedisUrl(text: string): string | undefined {
  return redisUrlProblem(text) === '' ? text.trim() : undefined
}

/** Names the part of the address that is wrong, without its text: it may be a password. */
function redisUrlProblem(text: string): string {
  const parsed = parseRedisAddress(text)
  return 'problem' in parsed ? `; ${parsed.problem}` : ''
}

const parseHttpUrl = (text: string): string | undefined =>
  URL.canParse(text) && /^https?:$/.test(new URL(text).protocol) ? text : undefined

const BOOLEANS: Readonly<Record<string, boolean>> = {
  ...{ true: true, yes: true, on: true, 1: true },
  ...{ false: false, no: false, off: false, 0: false },
}
const parseBoolean = (text: string): boolean | undefined => BOOLEANS[text.toLowerCase()]

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
type Level = (typeof LEVELS)[number]
const LEVEL_WORDS: Readonly<Record<string, Level>> = {
  warning: 'warn',
  critical: 'fatal',
  off: 'silent',
  none: 'silent',
}

/**
 * Parses a level in any case, or a list of directives as Rust programs read it
 * (`info,wsproxy=debug`): the directive of wsproxy wins over the general one, and other targets do
 * not count. Returns undefined when neither is there.
 */
function parseLevel(text: string): Level | undefined {
  const directives = text.split(',').map((each) => each.trim().toLowerCase())
  const own = directives.map((each) => /^wsproxy=(\w+)$/.exec(each)?.[1]).find((each) => each !== undefined)
  const word = own ?? directives.find((each) => /^\w+$/.test(each)) ?? ''
  return LEVELS.find((each) => each === word) ?? LEVEL_WORDS[word]
}

/** For each kind: how text is parsed, and what the text should have been where that fails. */
const KINDS = {
  string: { parse: (text: string) => text, expected: 'text' },
  choice: { parse: (text: string) => text, expected: 'one of its choices' },
  boolean: { parse: parseBoolean, expected: 'true or false, 1 or 0, yes or no, on or off' },
  level: { parse: parseLevel, expected: `one of ${LEVELS.join(', ')}` },
  integer: { parse: parseInteger, expected: 'an integer' },
  integerOrAuto: { parse: parseIntegerOrAuto, expected: 'an integer, or auto' },
  duration: { parse: parseDuration, expected: 'a duration such as 500ms, 5s, 1m30s or plain seconds' },
  size: { parse: parseSize, expected: 'a size such as 64KB, 10MiB or plain bytes' },
  list: { parse: parseList, expected: 'a list' },
  address: { parse: parseAddress, expected: 'host:port with a port up to 65535, for example 127.0.0.1:8080' },
  redisUrl: { parse: parseRedisUrl, expected: 'redis://[user:password@]host[:port][/db], rediss://... or unix:/path' },
  httpUrl: { parse: parseHttpUrl, expected: 'http://host[:port][/path] or https://...' },
} as const

export type Kind = keyof typeof KINDS

/** The value of a setting's text, or why the text is not one. */
export type Conversion = { readonly value: unknown } | { readonly problem: string }

/** What the text of a setting must be. */
export interface Requirement extends Bounds {
  readonly kind: Kind
  /** Unset: any value of the kind. */
  readonly choices?: readonly string[]
}

/** Converts the text of a setting. The generated validation calls it (`npm run generate`). */
export function convert(text: string, { kind, choices, minimum = '0', maximum }: Requirement): Conversion {
  if (kind === 'choice' && choices?.includes(text) === false) return { problem: `must be one of ${choices.join(', ')}` }
  const { parse, expected } = KINDS[kind]
  const value = parse(text)
  if (value === undefined) return { problem: `must be ${expected}${kind === 'redisUrl' ? redisUrlProblem(text) : ''}` }
  if (typeof value !== 'number') return { value }
  const most = maximum ?? (kind === 'duration' ? MAX_DURATION : undefined)
  if (value < (parse(minimum) as number)) return { problem: `must be at least ${minimum}` }
  if (most !== undefined && value > (parse(most) as number)) return { problem: `must be at most ${most}` }
  return { value }
}

const PLAIN_UNITS: Partial<Record<Kind, string>> = { duration: 'seconds', size: 'bytes' }

type Value<T, D> = D extends string ? T : T | undefined

const declare =
  <T>(kind: Kind, choices: readonly string[] = []) =>
  <const D extends string | undefined>(env: string, declaration: Declaration<D>): Declared<Value<T, D>> => {
    const { default: written, description, unit = PLAIN_UNITS[kind] ?? '', secret = false } = declaration
    const { minimum, maximum } = declaration
    const bounds = { ...(minimum !== undefined && { minimum }), ...(maximum !== undefined && { maximum }) }
    return { env, kind, choices, default: written, bounds, unit, description, secret }
  }

export const string = declare<string>('string')
export const oneOf = <const T extends readonly string[]>(choices: T) => declare<T[number]>('choice', choices)
export const boolean = declare<boolean>('boolean', ['true', 'false'])
export const level = declare<Level>('level', LEVELS)
export const integer = declare<number>('integer')
export const integerOrAuto = declare<number | 'auto'>('integerOrAuto')
/** In milliseconds. */
export const duration = declare<number>('duration')
/** In bytes. */
export const size = declare<number>('size')
/** Separated by commas. */
export const list = declare<readonly string[]>('list')
export const address = declare<Address>('address')
export const redisUrl = declare<string>('redisUrl')
export const httpUrl = declare<string>('httpUrl')

/** Puts settings under one heading of the reference page. */
export function group<S extends Readonly<Record<string, Declared<unknown>>>>(heading: string, declared: S) {
  return Object.fromEntries(
    Object.entries(declared).map(([key, each]) => [key, { ...each, group: heading }]),
  ) as unknown as { readonly [K in keyof S]: S[K] & { readonly group: string } }
}
