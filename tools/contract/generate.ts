/** Makes what is generated from the schema of the live door: its TypeScript types, the rules of its clients' frames and its AsyncAPI document. */
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import standalone from 'ajv/dist/standalone/index.js'
import { compile } from 'json-schema-to-typescript'
import { contractAjv, referenceTo } from './ajv.ts'
import { asyncApi } from './asyncapi.ts'
import { type ContractSchema, framesOf } from './schema.ts'

/** The source and what is made of it, in the tree; this file runs from `dist/tools/contract`. */
const FOLDER = new URL('../../../src/contract/live/', import.meta.url)
export const files = {
  schema: new URL('live.schema.json', FOLDER),
  types: new URL('types.gen.ts', FOLDER),
  rules: new URL('rules.gen.ts', FOLDER),
  asyncApi: new URL('asyncapi.gen.json', FOLDER),
}

const STYLE = { semi: false, singleQuote: true, printWidth: 120, trailingComma: 'all' } as const
const BANNER = '// Generated from live.schema.json by `npm run contract:generate`. Do not edit.'

/** The generated files as they have to be, by their key in `files`. */
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

/** A function for each frame of a client, as ajv would compile it at every start: that took a quarter of it. */
function rulesOf(schema: ContractSchema): string {
  const names = framesOf(schema, 'client')
  const ajv = contractAjv(schema, { source: true, esm: true, lines: true })
  const code = standalone.default(ajv, Object.fromEntries(names.map((name) => [name, referenceTo(schema, name)])))
  // It requires what it needs at run time, which a module cannot.
  const modules: string[] = []
  const body = code.replaceAll(/= ?require\("([^"]+)"\)/g, (_, path: string) => {
    modules.push(`import module${modules.length} from '${path}.js'`)
    return `= module${modules.length - 1}`
  })
  const typed = body
    .replace(/^"use strict";/, '')
    .replaceAll(/^export const (\w+) =/gm, 'export const $1: ValidateFunction =')
  return ['// @ts-nocheck', BANNER, "import type { ValidateFunction } from 'ajv'", ...modules, typed, ''].join('\n')
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const made = await generate()
  for (const name of ['types', 'rules', 'asyncApi'] as const) {
    await writeFile(files[name], made[name])
    process.stdout.write(`${fileURLToPath(files[name])}\n`)
  }
}
