import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { schemaText } from '../../../src/contract/live/schema.ts'
import { difference } from '../../../tools/contract/diff.ts'
import { type ContractSchema, framesOf } from '../../../tools/contract/schema.ts'
import { type Level, raised, verdictOn } from '../../../tools/contract/version.ts'
import { assertProperty } from '../../support/property.ts'

type Loose = { version: string; $defs: Record<string, Record<string, unknown>> }
type Properties = Record<string, Record<string, unknown>>
const load = (): Loose => JSON.parse(schemaText)
const SCHEMA = load() as unknown as ContractSchema
const CLIENT = framesOf(SCHEMA, 'client')
const SERVER = framesOf(SCHEMA, 'server')
const FRAMES = [...CLIENT, ...SERVER]
const propertiesOf = (contract: Loose, frame: string) => contract.$defs[frame]!.properties as Properties

/** Changes with a known level, each at a place that a number picks. */
const MUTATIONS: Record<string, [Level, (contract: Loose, pick: number) => void]> = {
  'other words': [
    'patch',
    (c, i) => {
      c.$defs[FRAMES[i % FRAMES.length]!]!.description = `words ${i}`
    },
  ],
  'an optional field': [
    'minor',
    (c, i) => {
      propertiesOf(c, FRAMES[i % FRAMES.length]!)[`new_${i}`] = { type: 'string' }
    },
  ],
  'an error code more': ['minor', (c, i) => void (c.$defs.ErrorCode!.enum as string[]).push(`new-${i}`)],
  'a new frame': [
    'minor',
    (c, i) => {
      c.$defs[`New${i}`] = { type: 'object', properties: { type: { const: `new_${i}` } }, required: ['type'] }
      ;(c.$defs.ServerFrame!.oneOf as object[]).push({ $ref: `#/$defs/New${i}` })
    },
  ],
  'a longer correlation id': [
    'minor',
    (c, i) => {
      c.$defs.CorrelationId!.maxLength = 129 + i
    },
  ],
  'an id that may be more, from a client': [
    'minor',
    (c) => {
      propertiesOf(c, 'Ping').correlation_id = { type: ['string', 'integer'], minLength: 1, maxLength: 128 }
    },
  ],
  'a field that a client need not send any more': [
    'minor',
    (c) => {
      c.$defs.DataRequest!.required = ['type']
    },
  ],
  'a frame that is gone': [
    'major',
    (c, i) => {
      const list = (i % 2 === 0 ? c.$defs.ServerFrame!.oneOf : c.$defs.ClientFrame!.anyOf) as object[]
      list.splice(i % 6, 1)
    },
  ],
  'a field that is gone': ['major', (c, i) => void delete propertiesOf(c, FRAMES[i % FRAMES.length]!).correlation_id],
  'a field that has another name': [
    'major',
    (c) => {
      const properties = propertiesOf(c, 'Pong')
      properties.time = properties.client_time!
      delete properties.client_time
    },
  ],
  'a field that is required now': [
    'major',
    (c, i) => {
      c.$defs[CLIENT[i % CLIENT.length]!]!.required = ['type', 'correlation_id']
    },
  ],
  'a new field that is required': [
    'major',
    (c) => {
      propertiesOf(c, 'Ping').must = { type: 'string' }
      c.$defs.Ping!.required = ['type', 'must']
    },
  ],
  'a field that the server may leave out': [
    'major',
    (c) => {
      c.$defs.ErrorFrame!.required = ['type', 'message', 'timestamp', 'correlation_id']
    },
  ],
  'an error code less': ['major', (c) => void (c.$defs.ErrorCode!.enum as string[]).shift()],
  'a shorter name of a topic': [
    'major',
    (c) => {
      c.$defs.Topic!.pattern = '^[a-z]{1,8}$'
    },
  ],
  'a shorter correlation id': [
    'major',
    (c, i) => {
      c.$defs.CorrelationId!.maxLength = 1 + (i % 127)
    },
  ],
  'another type': [
    'major',
    (c) => {
      propertiesOf(c, 'DataFailure').error = { type: 'object' }
    },
  ],
  'fewer types': [
    'major',
    (c) => {
      propertiesOf(c, 'Ping').client_time = { type: 'string' }
    },
  ],
  'no other fields': [
    'major',
    (c, i) => {
      c.$defs[FRAMES[i % FRAMES.length]!]!.additionalProperties = false
    },
  ],
}
const RANK: Record<Level, number> = { none: 0, patch: 1, minor: 2, major: 3 }
const changed = (contract: Loose) => difference(SCHEMA, contract as unknown as ContractSchema, '')

describe('the difference of two contracts', () => {
  it('a contract does not differ from itself, whatever the order of its keys', () => {
    const shuffled = JSON.parse(schemaText, (_, value) =>
      typeof value === 'object' && value !== null && !Array.isArray(value)
        ? Object.fromEntries(Object.entries(value).reverse())
        : value,
    )
    assert.deepEqual(changed(shuffled), { level: 'none', changes: [], problems: [] })
  })

  for (const [what, [level, mutate]] of Object.entries(MUTATIONS)) {
    it(`the diff calls ${what} ${level}`, () => {
      for (let i = 0; i < 24; i++) {
        const contract = load()
        mutate(contract, i)
        const found = changed(contract)
        assert.equal(found.level, level, `${i}: ${found.changes}`)
        assert.ok(found.problems.length > 0)
      }
    })
  }

  it('a difference has the highest level of its changes, which further changes never lower', () => {
    const names = fc.uniqueArray(fc.tuple(fc.constantFrom(...Object.keys(MUTATIONS)), fc.nat(23)), {
      minLength: 1,
      maxLength: 4,
      selector: ([name]) => name,
    })
    const property = fc.property(names, (picked) => {
      const contract = load()
      for (const [name, i] of picked) {
        try {
          MUTATIONS[name]![1](contract, i)
        } catch {
          // The member to change is already gone.
        }
      }
      const expected = Math.max(...picked.map(([name]) => RANK[MUTATIONS[name]![0]]))
      assert.ok(RANK[changed(contract).level] >= Math.min(expected, 2))
      if (picked.length === 1) assert.equal(RANK[changed(contract).level], expected)
    })
    assertProperty(property, { numRuns: 300 })
  })
})

describe('the version of a contract', () => {
  const version = fc.tuple(fc.nat(9), fc.nat(9), fc.nat(9))
  const NOTE = (text: string) => `# Changes\n\n## Contract ${text}\n\nMigration: rename it.\n\n## Contract 0.0.0\n`

  it('the version must rise by at least the level of the change and never falls', () => {
    const levels = fc.constantFrom<Level>('none', 'patch', 'minor', 'major')
    const property = fc.property(version, version, levels, (from, to, level) => {
      const by = raised(from.join('.'), to.join('.'))
      const falls =
        to[0] < from[0] || (to[0] === from[0] && (to[1] < from[1] || (to[1] === from[1] && to[2] < from[2])))
      assert.equal(by === undefined, falls)
      const problems = verdictOn(level, from.join('.'), to.join('.'), NOTE(to.join('.')))
      assert.equal(problems.length === 0, by !== undefined && RANK[by] >= RANK[level])
    })
    assertProperty(property, { numRuns: 1000 })
  })

  it('a major change needs a migration note in its own section', () => {
    assert.deepEqual(verdictOn('major', '1.0.0', '2.0.0', NOTE('2.0.0')), [])
    for (const changelog of [
      '',
      NOTE('2.0.1'),
      '## Contract 2.0.0\n\nNothing to do.\n\n## Contract 1.0.0\n\nMigration: no.\n',
    ]) {
      assert.match(String(verdictOn('major', '1.0.0', '2.0.0', changelog)), /CHANGELOG\.md/)
    }
  })

  it('a contract version is three numbers', () => {
    for (const text of ['', '1', '1.0', '1.0.0-beta', 'v1.0.0']) assert.equal(raised('1.0.0', text), undefined)
  })
})

describe('npm run contract:diff', () => {
  const run = promisify(execFile)
  const main = fileURLToPath(new URL('../../../tools/contract/diff.js', import.meta.url))
  const diff = (...args: string[]) =>
    run(process.execPath, [main, ...args]).then(
      ({ stdout }) => ({ code: 0, stdout, stderr: '' }),
      (error) => error,
    )

  it('contract:diff exits with 0, 1 or 2: raised enough, not enough, unreadable', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'wsproxy-contract-'))
    try {
      const write = (name: string, change: (contract: Loose) => void) => {
        const contract = load()
        change(contract)
        writeFileSync(join(folder, name), JSON.stringify(contract))
        return join(folder, name)
      }
      const old = write('old.json', (contract) => {
        contract.version = '2.0.0'
      })
      const minor = (to: string) => (contract: Loose) => {
        propertiesOf(contract, 'Pong').extra = { type: 'string' }
        contract.version = to
      }
      const [raisedEnough, not] = [write('a.json', minor('2.1.0')), write('b.json', minor('2.0.1'))]
      assert.deepEqual(await diff(old, raisedEnough), {
        code: 0,
        stdout: 'minor: Pong.extra: is new\nminor\n',
        stderr: '',
      })
      const refused = await diff(old, not)
      assert.equal(refused.code, 1)
      assert.match(refused.stderr, /minor change.*from 2\.0\.0 to 2\.0\.1/)
      assert.equal((await diff(old)).code, 2)
      assert.equal((await diff(old, join(folder, 'none.json'))).code, 2)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
