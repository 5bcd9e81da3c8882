/**
 * Decides which steps of a run are done, by pure rules over the fields of its Redis hash. The table
 * at the end reads like the description of the checklist. The functions before it are the words of
 * that table; each also says what it means, for the page that is made from them.
 */

/** The fields of a run's hash, as text. */
export type Fields = ReadonlyMap<string, string>

/** One entry of a checklist. Returns true or false for any hash and never throws. */
type Rule = (fields: Fields) => boolean

/** The keys of a checklist and their rules. */
export type Checklist = Readonly<Record<string, Rule>>

/** A rule that says in words when it is true. */
type WordedRule = Rule & { readonly means: string }

/** Reads a stamp, or returns undefined when the hash has none. `means` says which. */
type Stamp = ((fields: Fields) => bigint | undefined) & { readonly means: string }

const worded = <F extends (fields: Fields) => unknown>(means: string, read: F): F & { readonly means: string } =>
  Object.assign(read, { means })

const MIN_STAMP = -(2n ** 63n)
const MAX_STAMP = 2n ** 63n - 1n

/**
 * Parses a whole number of signed 64 bits, in ASCII digits with at most one sign. Returns undefined
 * for any other text.
 */
export function parseStamp(text: string | undefined): bigint | undefined {
  // The expression bounds the length: BigInt takes more than linear time for long texts.
  const [, sign, digits] = /^([+-]?)0*(\d{1,19})$/.exec(text ?? '') ?? []
  if (digits === undefined) return undefined
  const value = sign === '-' ? -BigInt(digits) : BigInt(digits)
  return value < MIN_STAMP || value > MAX_STAMP ? undefined : value
}

const field = (name: string) => `timestamps:${name}`
const textOf = (fields: Fields, name: string): string => fields.get(field(name)) ?? ''

const ts = (name: string): Stamp => worded(`\`${field(name)}\``, (fields) => parseStamp(fields.get(field(name))))

/** The greatest of these stamps, or undefined when the hash has none of them. */
const newest = (...names: readonly string[]): Stamp =>
  worded(`the newest of ${listOf(names)}`, (fields) =>
    greatest(names.map((name) => parseStamp(fields.get(field(name))))),
  )
const listOf = (names: readonly string[]): string => names.map((name) => `\`${field(name)}\``).join(', ')

/** Whether `left` and all `others` are stamps and `left` is strictly greater than each of them. */
const newer = (left: string | Stamp, ...others: readonly (string | Stamp)[]): WordedRule => {
  const means = `${stamp(left).means} is later than ${others.map((other) => stamp(other).means).join(' and than ')}`
  return worded(means, (fields) => {
    const value = stamp(left)(fields)
    return value !== undefined && others.every((other) => isOlder(stamp(other)(fields), value))
  })
}

const stamp = (source: string | Stamp): Stamp => (typeof source === 'string' ? ts(source) : source)
const isOlder = (value: bigint | undefined, than: bigint): boolean => value !== undefined && value < than

const exists = (name: string): WordedRule =>
  worded(`\`${field(name)}\` exists, whatever is in it`, (fields) => fields.has(field(name)))

const notEmpty = (name: string): WordedRule =>
  worded(`\`${field(name)}\` is not empty`, (fields) => textOf(fields, name) !== '')

const isTrue = (name: string): WordedRule => worded(`\`${name}\` is \`true\``, (fields) => fields.get(name) === 'true')

const all = (...rules: readonly WordedRule[]): WordedRule =>
  worded(rules.map(({ means }) => means).join('; and '), (fields) => rules.every((rule) => rule(fields)))

const any = (...rules: readonly WordedRule[]): WordedRule =>
  worded(rules.map(({ means }) => means).join(', or '), (fields) => rules.some((rule) => rule(fields)))

const when = (condition: WordedRule, then: WordedRule, otherwise?: WordedRule): WordedRule =>
  worded(
    `when ${condition.means}: ${then.means}${otherwise === undefined ? '' : `; otherwise ${otherwise.means}`}`,
    (fields) => (condition(fields) ? then(fields) : (otherwise?.(fields) ?? true)),
  )

function greatest(values: readonly (bigint | undefined)[]): bigint | undefined {
  let most: bigint | undefined
  for (const value of values) if (value !== undefined && (most === undefined || value > most)) most = value
  return most
}

/**
 * The first field that is not empty, even if it does not parse: garbage in it hides the second
 * field.
 */
const weppText = (fields: Fields): string => textOf(fields, 'run_wepp_watershed') || textOf(fields, 'run_wepp')
const wepp: Stamp = worded('the WEPP stamp', (fields) => parseStamp(weppText(fields)))
const anyWepp = worded('there is a WEPP stamp', (fields: Fields) => weppText(fields) !== '')

const inputs = ['build_landuse', 'build_soils', 'build_climate'] as const
const omniBase = newest('run_omni_scenarios', 'run_wepp_watershed', 'run_wepp')

export const SHARED_UPSTREAM = [
  'fetch_dem',
  'build_channels',
  'set_outlet',
  'find_outlet',
  'build_subcatchments',
  'abstract_watershed',
  'init_sbs_map',
  'build_climate',
] as const
/** The upstream of the model M1, by soil policy. A policy that is not here makes the key false. */
export const M1_UPSTREAM: ReadonlyMap<string, readonly string[]> = new Map([
  ['', ['build_polaris', 'build_rusle']],
  ['statsgo_kffact_1995_cog2025_v1', []],
])
export const M3_UPSTREAM = ['build_landuse', 'build_rangeland_cover', 'build_soils'] as const

/** The upstream of the model that is chosen; undefined when it is not known. */
function modelUpstream(fields: Fields): readonly string[] | undefined {
  const model = fields.get('postfire_debris_flow:model') || 'M1'
  if (model === 'M1') return M1_UPSTREAM.get(fields.get('postfire_debris_flow:soil_policy') ?? '')
  return model === 'M3' ? M3_UPSTREAM : undefined
}

/**
 * Needs a known model, for M1 a known soil policy, and a completion stamp above zero. Each upstream
 * field that exists must be above zero and older.
 */
const postfire = worded('see below', (fields: Fields): boolean => {
  const ofModel = modelUpstream(fields)
  const done = ts('run_postfire_debris_flow')(fields)
  if (ofModel === undefined || done === undefined || done <= 0n) return false
  return [...SHARED_UPSTREAM, ...ofModel].every((name) => {
    if (!fields.has(field(name))) return true
    const value = ts(name)(fields)
    return value !== undefined && value > 0n && value < done
  })
})

/** The checklist of a WEPP run. */
export const weppChecklist: Readonly<Record<string, WordedRule>> = {
  sbs_map: isTrue('attrs:has_sbs'),
  channels: exists('build_channels'),
  outlet: newer(newest('set_outlet', 'find_outlet'), 'build_channels'),
  subcatchments: newer('abstract_watershed', 'build_channels'),
  landuse: newer('build_landuse', 'abstract_watershed'),
  rangeland_cover: notEmpty('build_rangeland_cover'),
  soils: all(
    newer('build_soils', 'abstract_watershed'),
    any(newer('build_soils', 'build_landuse'), newer('build_soils', 'build_rangeland_cover')),
  ),
  climate: newer('build_climate', 'abstract_watershed'),
  rap_ts: newer('build_rap_ts', 'build_climate'),
  openet_ts: newer('build_openet_ts', 'build_climate'),
  rhem: notEmpty('run_rhem'),
  wepp: when(anyWepp, newer(wepp, ...inputs), newer('build_rusle', ...inputs)),
  observed: newer('run_observed', ...inputs, wepp),
  debris: newer('run_debris', ...inputs, wepp),
  watar: newer('run_watar', ...inputs, wepp),
  omni_scenarios: when(anyWepp, newer('run_omni_scenarios', wepp), notEmpty('run_omni_scenarios')),
  omni_contrasts: when(
    worded(
      `${omniBase.means.slice('the newest of '.length)} have no stamp`,
      (fields: Fields) => omniBase(fields) === undefined,
    ),
    notEmpty('run_omni_contrasts'),
    newer('run_omni_contrasts', omniBase),
  ),
  run_path_ce: newer('run_path_ce', wepp),
  roads: newer('run_roads', wepp),
  rusle: all(newer('build_rusle', 'build_climate'), when(anyWepp, newer('build_rusle', wepp))),
  dss_export: newer('dss_export', newest('run_watar', 'run_wepp_watershed', 'run_wepp')),
  ag_fields: newer(
    'run_ag_fields',
    newest('run_wepp_hillslopes', 'run_wepp_watershed', 'run_wepp'),
    'abstract_watershed',
    ...inputs,
  ),
  geneva: all(newer('run_geneva', ...inputs), when(isTrue('attrs:has_sbs'), newer('run_geneva', 'init_sbs_map'))),
  postfire_debris_flow: postfire,
}

const LOCK_PREFIX = 'locked:'

/**
 * Returns the frame of a run: compact JSON with the members type, checklist, lock_statuses and
 * last_modified, in that order, and sorted keys inside them. last_modified is exact past 2^53 and
 * absent when the hash has none. Equal hashes give equal text, whatever the order of their fields.
 */
export function renderRun(checklist: Checklist, fields: Fields): string {
  const steps = Object.entries(checklist).map(([key, rule]) => [key, rule(fields) === true] as const)
  const locks = Array.from(fields)
    .filter(([name]) => name.startsWith(LOCK_PREFIX) && name.length > LOCK_PREFIX.length)
    .map(([name, value]) => [name.slice(LOCK_PREFIX.length), value === 'true'] as const)
  const modified = lastModified(fields)
  const tail = modified === undefined ? '' : `,"last_modified":${modified}`
  return `{"type":"preflight","checklist":${flags(steps)},"lock_statuses":${flags(locks)}${tail}}`
}

/**
 * Writes the object by hand: in a JavaScript object `__proto__` is no key, and numeric keys come
 * first.
 */
function flags(entries: readonly (readonly [string, boolean])[]): string {
  const sorted = [...entries].sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${sorted.map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(',')}}`
}

function lastModified(fields: Fields): bigint | undefined {
  const stamps = Array.from(fields, ([name, value]) => (name.startsWith('timestamps:') ? parseStamp(value) : undefined))
  return parseStamp(fields.get('last_modified')) ?? greatest(stamps)
}
