import { canonicalJson } from '../../src/platform/canonical-json.ts'
import { type ContractSchema, type Direction, framesOf, type Schema } from './schema.ts'

/** One difference and its meaning: a major one breaks clients of the older version. */
export interface Change {
  readonly level: 'patch' | 'minor' | 'major'
  /** `Frame.field`, as in the definitions. */
  readonly where: string
  readonly what: string
}

type Keywords = Readonly<Record<string, unknown>>

/** Keywords for readers only; they do not affect validation. */
const WORDS = new Set(['title', 'description', '$comment', 'examples', 'default', 'deprecated'])
/** Bounds, and whether a larger value admits more. */
const BOUNDS: Readonly<Record<string, 1 | -1>> = {
  maxLength: 1,
  maximum: 1,
  exclusiveMaximum: 1,
  maxItems: 1,
  maxProperties: 1,
  minLength: -1,
  minimum: -1,
  exclusiveMinimum: -1,
  minItems: -1,
  minProperties: -1,
}
/** Keywords whose value `true` means the same as their absence. */
const OPEN = new Set(['additionalProperties', 'unevaluatedProperties', 'unevaluatedItems'])
/** Keywords that are compared member by member. */
const STRUCTURE = new Set(['properties', 'required', 'type', 'enum', 'items', '$ref'])

/**
 * All differences between two versions of the contract, frame by frame and field by field, except
 * `version`.
 */
export function changesBetween(before: ContractSchema, after: ContractSchema): Change[] {
  const changes: Change[] = []
  if (before.description !== after.description)
    changes.push({ level: 'patch', where: 'the contract', what: 'other words' })
  for (const direction of ['client', 'server'] as const) {
    const [old, now] = [framesOf(before, direction), framesOf(after, direction)]
    for (const name of old) {
      if (!now.includes(name)) changes.push({ level: 'major', where: name, what: 'the frame is gone' })
      else
        changes.push(
          ...new Comparison(before, after, direction).compare(
            name,
            { $ref: `#/$defs/${name}` },
            { $ref: `#/$defs/${name}` },
          ),
        )
    }
    for (const name of now) if (!old.includes(name)) changes.push({ level: 'minor', where: name, what: 'a new frame' })
  }
  return changes
}

/**
 * Compares two schemas of one direction. What a client may send can only widen. What the server
 * sends can only narrow, except for new fields and values.
 */
class Comparison {
  readonly #before: ContractSchema
  readonly #after: ContractSchema
  readonly #widened: 'minor' | 'major'

  constructor(before: ContractSchema, after: ContractSchema, direction: Direction) {
    this.#before = before
    this.#after = after
    this.#widened = direction === 'client' ? 'minor' : 'major'
  }

  compare(where: string, before: Schema, after: Schema): Change[] {
    const [old, now] = [resolve(this.#before, before), resolve(this.#after, after)]
    return [
      ...this.#words(where, old, now),
      ...this.#types(where, old, now),
      ...this.#values(where, old, now),
      ...this.#bounds(where, old, now),
      ...this.#fields(where, old, now),
      ...this.#others(where, old, now),
    ]
  }

  #words(where: string, old: Keywords, now: Keywords): Change[] {
    const differ = [...WORDS].some((word) => !same(old[word], now[word]))
    return differ ? [{ level: 'patch', where, what: 'other words' }] : []
  }

  #types(where: string, old: Keywords, now: Keywords): Change[] {
    const [before, after] = [typesOf(old), typesOf(now)]
    const [gone, come] = [before.filter((type) => !admits(after, type)), after.filter((type) => !admits(before, type))]
    return [
      ...(gone.length > 0 ? [{ level: 'major', where, what: `is no ${gone.join(', ')} any more` } as const] : []),
      ...(come.length > 0 ? [{ level: this.#widened, where, what: `may be ${come.join(', ')} now` }] : []),
    ]
  }

  #values(where: string, old: Keywords, now: Keywords): Change[] {
    const [before, after] = [old.enum as unknown[] | undefined, now.enum as unknown[] | undefined]
    if (before === undefined && after === undefined) return []
    if (before === undefined) return [{ level: 'major', where, what: 'has a list of values now' }]
    if (after === undefined) return [{ level: this.#widened, where, what: 'has no list of values any more' }]
    const without = (from: unknown[], list: unknown[]) =>
      from.filter((value) => !list.some((each) => same(each, value)))
    const [gone, come] = [without(before, after), without(after, before)]
    return [
      ...(gone.length > 0 ? [{ level: 'major', where, what: `lacks ${JSON.stringify(gone)}` } as const] : []),
      ...(come.length > 0 ? [{ level: 'minor', where, what: `has ${JSON.stringify(come)}` } as const] : []),
    ]
  }

  #bounds(where: string, old: Keywords, now: Keywords): Change[] {
    return Object.entries(BOUNDS).flatMap(([keyword, sign]): Change[] => {
      const open = sign * Number.POSITIVE_INFINITY
      const [before, after] = [(old[keyword] as number) ?? open, (now[keyword] as number) ?? open]
      if (before === after) return []
      const wider = sign * (after - before) > 0
      return [{ level: wider ? 'minor' : 'major', where, what: `${keyword} went from ${before} to ${after}` }]
    })
  }

  #fields(where: string, old: Keywords, now: Keywords): Change[] {
    const [before, after] = [fieldsOf(old), fieldsOf(now)]
    const [needed, needs] = [new Set(old.required as string[]), new Set(now.required as string[])]
    const changes: Change[] = []
    for (const name of new Set([...Object.keys(before), ...Object.keys(after), ...needed, ...needs])) {
      const at = `${where}.${name}`
      const [was, is] = [before[name], after[name]]
      if (was !== undefined && is === undefined) changes.push({ level: 'major', where: at, what: 'is gone' })
      else if (needs.has(name) && !needed.has(name))
        changes.push({ level: 'major', where: at, what: 'is required now' })
      else if (was === undefined && is !== undefined) changes.push({ level: 'minor', where: at, what: 'is new' })
      else if (needed.has(name) && !needs.has(name))
        changes.push({ level: this.#widened, where: at, what: 'may be missing now' })
      if (was !== undefined && is !== undefined) changes.push(...this.compare(at, was, is))
    }
    if (old.items !== undefined && now.items !== undefined) {
      changes.push(...this.compare(`${where}[]`, old.items as Schema, now.items as Schema))
    } else if (old.items !== now.items) {
      changes.push({
        level: now.items === undefined ? this.#widened : 'major',
        where: `${where}[]`,
        what: 'has other members',
      })
    }
    return changes
  }

  /** Whether the names that are newly forbidden are exactly those of new frames. */
  #keepsNewFrames(old: unknown, now: unknown): boolean {
    const [before, after] = [namesIn(old), namesIn(now)]
    if (before === undefined || after === undefined || before.some((name) => !after.includes(name))) return false
    const known = typesIn(this.#before)
    const types = typesIn(this.#after)
    return after.every((name) => before.includes(name) || (types.has(name) && !known.has(name)))
  }

  /**
   * Other keywords: an additional one narrows, a removed one widens, a changed value may do both.
   */
  #others(where: string, old: Keywords, now: Keywords): Change[] {
    const names = new Set([...Object.keys(old), ...Object.keys(now)])
    return [...names].flatMap((keyword): Change[] => {
      if (WORDS.has(keyword) || STRUCTURE.has(keyword) || keyword in BOUNDS || same(old[keyword], now[keyword]))
        return []
      if (keyword === 'not' && this.#keepsNewFrames(old.not, now.not))
        return [{ level: 'minor', where, what: 'keeps the names of new frames' }]
      const gone = now[keyword] === undefined || (now[keyword] === true && OPEN.has(keyword))
      return [{ level: gone ? this.#widened : 'major', where, what: `${keyword} ${gone ? 'is gone' : 'is another'}` }]
    })
  }
}

const TYPES = ['array', 'boolean', 'null', 'number', 'object', 'string']
const typesOf = ({ type }: Keywords): string[] => (type === undefined ? TYPES : [type].flat()) as string[]
const admits = (types: string[], type: string): boolean =>
  types.includes(type) || (type === 'integer' && types.includes('number'))
const namesIn = (not: unknown) => (not as { enum?: unknown[] } | undefined)?.enum
/** The `type` of every frame that a contract defines. */
const typesIn = ({ $defs }: ContractSchema): Set<unknown> =>
  new Set(
    Object.values($defs).flatMap((schema) => (fieldsOf(schema as Keywords).type as Keywords | undefined)?.const ?? []),
  )
const fieldsOf = ({ properties }: Keywords) => (properties ?? {}) as Readonly<Record<string, Schema>>

/** A schema with its own keywords and those of the definition that it refers to. */
function resolve({ $defs }: Pick<ContractSchema, '$defs'>, schema: Schema): Keywords {
  if (typeof schema === 'boolean') return schema ? {} : { not: {} }
  const { $ref, ...own } = schema as { $ref?: string }
  if ($ref === undefined) return own
  return { ...resolve({ $defs }, $defs[$ref.replace('#/$defs/', '')] ?? {}), ...own }
}

/** Whether two values are equal as JSON, whatever the order of their members. */
const same = (one: unknown, other: unknown): boolean => canonicalJson(one) === canonicalJson(other)
