/**
 * Generates from the live door's schema: TypeScript types, the validation of client frames, the
 * AsyncAPI document.
 */
import { readFile } from 'node:fs/promises'
import { compile } from 'json-schema-to-typescript'
import { moduleOf } from '../ajv.ts'
import { contractAjv, referenceTo } from './ajv.ts'
import { asyncApi } from './asyncapi.ts'
import { type ContractSchema, framesOf } from './schema.ts'

/**
 * The schema and the files generated from it, in the tree; this file runs from
 * `dist/tools/contract`.
 */
const FOLDER = new URL('../../../src/contract/live/', import.meta.url)
export const files = {
  schema: new URL('live.schema.json', FOLDER),
  types: new URL('types.gen.ts', FOLDER),
  rules: new URL('rules.gen.ts', FOLDER),
  asyncApi: new URL('asyncapi.gen.json', FOLDER),
}

const STYLE = { semi: false, singleQuote: true, printWidth: 120, trailingComma: 'all' } as const
const BANNER = '// Generated from live.schema.json by `npm run generate`. Do not edit.'

/** The texts of the generated files, by their key in `files`. */
export async function generate(): Promise<{ types: string; rules: string; asyncApi: string }> {
  const schema = JSON.parse(await readFile(files.schema, 'utf8')) as ContractSchema
  const types = await compile(structuredClone(schema) as object, 'LiveContract', {
    additionalProperties: false,
    bannerComment: BANNER,
    strictIndexSignatures: true,
    style: STYLE,
    unknownAny: true,
    unreachableDefinitions: true,
  })
  return { types, rules: rulesOf(schema), asyncApi: `${JSON.stringify(asyncApi(schema), null, 2)}\n` }
}

/**
 * A function for each client frame. Compiling them took a quarter of a start when ajv did it at run
 * time.
 */
function rulesOf(schema: ContractSchema): string {
  const names = framesOf(schema, 'client')
  const ajv = contractAjv(schema, { source: true, esm: true, lines: true })
  const references = Object.fromEntries(names.map((name) => [name, referenceTo(schema, name)]))
  return moduleOf(ajv, references, 'live.schema.json')
}
