import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { liveErrors } from '../../../src/contract/codes.ts'
import { CONTRACT_VERSION, isReservedType, schemaText, validatorOf } from '../../../src/contract/live/schema.ts'
import { contractAjv, referenceTo } from '../../../tools/contract/ajv.ts'
import { difference } from '../../../tools/contract/diff.ts'
import { files } from '../../../tools/contract/generate.ts'
import { type ContractSchema, framesOf } from '../../../tools/contract/schema.ts'

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url))
const PATH = 'src/contract/live/live.schema.json'
const schema = JSON.parse(schemaText) as ContractSchema
const changelog = readFileSync(new URL('../../../../CHANGELOG.md', import.meta.url), 'utf8')
const page = readFileSync(new URL('../../../../docs/reference/protocol.md', import.meta.url), 'utf8')

type Definition = { properties?: Record<string, { const?: string; enum?: string[]; not?: { enum: string[] } }> }
const definition = (name: string) => schema.$defs[name] as Definition & { enum?: string[] }

/** The output of a git command; undefined when it fails. */
function git(...args: string[]): string | undefined {
  try {
    return execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  } catch {
    return undefined
  }
}

/** The contract of the last tag, or of the last commit where there is no tag that has one. */
function lastPublished(): string | undefined {
  const tag = git('describe', '--tags', '--abbrev=0')?.trim()
  return (tag === undefined ? undefined : git('show', `${tag}:${PATH}`)) ?? git('show', `HEAD:${PATH}`)
}

describe('the contract of the live door', () => {
  it('is a JSON Schema of draft 2020-12 without unknown keywords', () => {
    assert.doesNotThrow(() => contractAjv(schema))
    const broken = { ...schema, $id: 'https://example.org/broken', $defs: { x: { type: 'text' } } }
    assert.throws(() => contractAjv(broken), /schema is invalid/)
  })

  const before = lastPublished()
  const skip = before === undefined ? 'no git here, or it has no older version of the contract' : false
  it('has a version that was raised for the changes since its publication', { skip }, () => {
    const { problems, changes } = difference(JSON.parse(before!) as ContractSchema, schema, changelog)
    assert.deepEqual(problems, [], changes.join('\n'))
  })

  it('has its version in CHANGELOG.md', () => {
    assert.ok(changelog.includes(`\n## Contract ${CONTRACT_VERSION}\n`))
  })

  it('compiles in the strict mode of ajv, frame by frame', () => {
    assert.equal((schema as unknown as { $schema: string }).$schema, 'https://json-schema.org/draft/2020-12/schema')
    const ajv = contractAjv(schema)
    for (const name of Object.keys(schema.$defs))
      assert.doesNotThrow(() => validatorOf(ajv.getSchema(referenceTo(schema, name))!)({}), name)
    for (const direction of ['client', 'server'] as const) assert.ok(framesOf(schema, direction).length >= 6)
  })

  it('has the error codes of codes.ts', () => {
    assert.deepEqual(definition('ErrorCode').enum?.toSorted(), Object.keys(liveErrors).sort())
  })

  it('reserves the names of its frames, so that agents cannot use them', () => {
    const names = Object.keys(schema.$defs).flatMap((name) => definition(name).properties?.type?.const ?? [])
    assert.deepEqual(definition('TopicMessage').properties?.type?.not?.enum, [...new Set(names)].sort())
    for (const name of new Set(names)) assert.equal(isReservedType(name), name !== 'critical_alert', name)
    for (const name of ['x_update', 'agent_event', 'toString']) assert.equal(isReservedType(name), false)
  })

  it('has each frame with each of its fields on the protocol page', () => {
    for (const direction of ['client', 'server'] as const) {
      for (const frame of framesOf(schema, direction)) {
        for (const [field, { const: type }] of Object.entries(definition(frame).properties ?? {})) {
          assert.ok(page.includes(`\`${type ?? field}\``), `${frame}.${field}`)
        }
      }
    }
    assert.ok(page.includes(CONTRACT_VERSION))
  })

  it('has an AsyncAPI document whose references all resolve', () => {
    const document = JSON.parse(readFileSync(files.asyncApi, 'utf8')) as Record<string, unknown>
    const references = new Set([...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, path]) => path!))
    assert.ok(references.size > 40)
    for (const path of references) {
      const found = path
        .split('/')
        .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], document)
      assert.notEqual(found, undefined, path)
    }
  })
})
