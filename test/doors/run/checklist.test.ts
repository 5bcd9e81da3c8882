import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  M1_UPSTREAM,
  M3_UPSTREAM,
  parseStamp,
  renderRun,
  SHARED_UPSTREAM,
  weppChecklist,
} from '../../../src/doors/run/checklist.ts'
import { assertProperty } from '../../support/property.ts'

interface Example {
  name: string
  hash: Record<string, string>
  checklist: Record<string, boolean>
  lock_statuses: Record<string, boolean>
  last_modified: number | string | null
}

const examples: Example[] = JSON.parse(
  readFileSync(new URL('../../../../test/fixtures/checklist-examples.json', import.meta.url), 'utf8'),
)
const render = (hash: Record<string, string> | [string, string][]) =>
  renderRun(weppChecklist, new Map(Array.isArray(hash) ? hash : Object.entries(hash)))

describe('the wepp checklist', () => {
  for (const { name, hash, checklist, lock_statuses, last_modified } of examples) {
    it(`computes the wepp checklist of the example: ${name}`, () => {
      const text = render(hash)
      const value = JSON.parse(text)
      assert.deepEqual(value.checklist, checklist)
      assert.deepEqual(value.lock_statuses, lock_statuses)
      assert.equal(
        /"last_modified":(-?\d+)/.exec(text)?.[1] ?? null,
        last_modified === null ? null : String(last_modified),
      )
    })
  }

  const POLICY = 'statsgo_kffact_1995_cog2025_v1'
  for (const [model, policy, field, expected] of [
    ['', undefined, 'build_polaris', false],
    ['', '', 'build_polaris', false],
    ['', POLICY, 'build_polaris', true],
    ['M1', POLICY, 'build_rusle', true],
    ['M1', POLICY, 'build_climate', false],
    ['M1', 'other', 'none', false],
    ['', 'other', 'none', false],
    ['M3', 'other', 'none', true],
    ['M3', POLICY, 'build_soils', false],
    ['M2', POLICY, 'none', false],
  ] as const) {
    it(`postfire with model ${model}, soil policy ${policy} and garbage in ${field} is ${expected}`, () => {
      const hash = {
        'timestamps:run_postfire_debris_flow': '200',
        'postfire_debris_flow:model': model,
        ...(policy !== undefined && { 'postfire_debris_flow:soil_policy': policy }),
        [`timestamps:${field}`]: 'x',
      }
      assert.equal(JSON.parse(render(hash)).checklist.postfire_debris_flow, expected)
    })
  }

  const steps = Object.keys(weppChecklist)
  const known = [
    ...new Set(examples.flatMap(({ hash }) => Object.keys(hash))),
    'timestamps:run_postfire_debris_flow',
    'locked:__proto__',
    '__proto__',
  ]
  const value = fc.oneof(
    fc.integer({ min: -5, max: 400 }).map(String),
    fc.constantFrom('', 'true', 'x', '1e3', ' 5'),
    fc.string(),
  )
  const hashes = fc
    .dictionary(fc.oneof(fc.constantFrom(...known), fc.string()), value)
    .map((hash) => Object.entries(hash))

  it('says for each key which fields it reads, and names no other', () => {
    const weppStamp = ['timestamps:run_wepp_watershed', 'timestamps:run_wepp']
    const upstream = [...SHARED_UPSTREAM, ...M3_UPSTREAM, ...[...M1_UPSTREAM.values()].flat()]
    const postfire = [
      'timestamps:run_postfire_debris_flow',
      'postfire_debris_flow:model',
      'postfire_debris_flow:soil_policy',
      ...upstream.map((name) => `timestamps:${name}`),
    ]
    const policyHash = { 'postfire_debris_flow:soil_policy': POLICY, 'timestamps:run_postfire_debris_flow': '9' }
    const order = ['init_sbs_map', 'build_channels', 'set_outlet', 'find_outlet', 'abstract_watershed', 'build_landuse']
    order.push('build_soils', 'build_climate', 'run_wepp', 'run_wepp_watershed', 'run_geneva')
    const complete = {
      'attrs:has_sbs': 'true',
      ...Object.fromEntries(order.map((name, i) => [`timestamps:${name}`, `${i + 1}`])),
    }
    const models = [policyHash, { ...policyHash, 'postfire_debris_flow:model': 'M3' }]
    const all: Record<string, string>[] = [...examples.map(({ hash }) => hash), ...models, complete]
    for (const [key, rule] of Object.entries(weppChecklist)) {
      const read = new Set<string>()
      class Spy extends Map<string, string> {
        override get(name: string) {
          read.add(name)
          return super.get(name)
        }
        override has(name: string) {
          read.add(name)
          return super.has(name)
        }
      }
      for (const hash of all) {
        // Each field once present and once absent, so that no rule ends before it reads all.
        for (const missing of ['', ...Object.keys(hash)])
          rule(new Spy(Object.entries(hash).filter(([name]) => name !== missing)))
      }
      const said = [...rule.means.matchAll(/`([a-z_]+:[a-z_]+)`/g)].map(([, name]) => name!)
      const wanted = [
        ...said,
        ...(rule.means.includes('WEPP stamp') ? weppStamp : []),
        ...(key === 'postfire_debris_flow' ? postfire : []),
      ]
      assert.deepEqual([...read].sort(), [...new Set(wanted)].sort(), `${key}: ${rule.means}`)
    }
  })

  it('renders every key in order for any hash, and never throws', () => {
    assertProperty(
      fc.property(hashes, (hash) => {
        const frame = JSON.parse(render(hash))
        assert.deepEqual(Object.keys(frame.checklist), [...steps].sort())
        assert.deepEqual(Object.keys(frame).slice(0, 3), ['type', 'checklist', 'lock_statuses'])
      }),
    )
  })

  it('renders the same text for any order of the fields', () => {
    assertProperty(
      fc.property(
        hashes.chain((hash) => fc.tuple(fc.constant(hash), fc.shuffledSubarray(hash, { minLength: hash.length }))),
        ([a, b]) => {
          assert.equal(render(a), render(b))
        },
      ),
    )
  })

  const OWN: Record<string, string> = {
    subcatchments: 'abstract_watershed',
    landuse: 'build_landuse',
    soils: 'build_soils',
    climate: 'build_climate',
    rap_ts: 'build_rap_ts',
    openet_ts: 'build_openet_ts',
    rangeland_cover: 'build_rangeland_cover',
    rhem: 'run_rhem',
    observed: 'run_observed',
    debris: 'run_debris',
    watar: 'run_watar',
    omni_scenarios: 'run_omni_scenarios',
    omni_contrasts: 'run_omni_contrasts',
    run_path_ce: 'run_path_ce',
    roads: 'run_roads',
    rusle: 'build_rusle',
    dss_export: 'dss_export',
    ag_fields: 'run_ag_fields',
    geneva: 'run_geneva',
    postfire_debris_flow: 'run_postfire_debris_flow',
  }

  it('never turns a step off when the stamp of the step itself gets newer', () => {
    assertProperty(
      fc.property(
        hashes,
        fc.constantFrom(...Object.keys(OWN)),
        fc.integer({ min: 1, max: 1000 }),
        (hash, step, later) => {
          const own = `timestamps:${OWN[step]}`
          const fields = new Map(hash)
          if (!JSON.parse(render([...fields])).checklist[step]) return
          const newer = (parseStamp(fields.get(own)) ?? 1000n) + BigInt(later)
          assert.equal(JSON.parse(render([...fields.set(own, String(newer))])).checklist[step], true)
        },
      ),
      { numRuns: 2000 },
    )
  })

  it('takes only a whole number of signed 64 bits in ASCII digits as a stamp', () => {
    const stamps = {
      '0': 0n,
      '-0': 0n,
      '+7': 7n,
      '007': 7n,
      '9223372036854775807': 2n ** 63n - 1n,
      '-9223372036854775808': -(2n ** 63n),
    }
    for (const [text, stamp] of Object.entries(stamps)) assert.equal(parseStamp(text), stamp, text)
    const none = [
      '',
      ' ',
      ' 1',
      '1 ',
      '12.5',
      '1e3',
      '0x10',
      '1_000',
      '--1',
      '+',
      '−1',
      '١',
      '9223372036854775808',
      '1'.repeat(1e6),
      '1\n',
    ]
    for (const text of none) assert.equal(parseStamp(text), undefined, text.slice(0, 30))
  })

  it('names a lock by all that follows its prefix, __proto__ and numbers included', () => {
    const text = render({
      'locked:b:c': 'true',
      'locked:__proto__': 'true',
      'locked:2': 'True',
      'locked:': 'true',
      'locked:10': 'true',
    })
    assert.match(text, /"lock_statuses":\{"10":true,"2":false,"__proto__":true,"b:c":true\}/)
  })
})
