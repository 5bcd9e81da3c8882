/** Makes what is generated from the schema of the live door: its TypeScript types and its AsyncAPI document. */
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { compile } from 'json-schema-to-typescript'
import { asyncApi } from './asyncapi.ts'
import type { ContractSchema } from './schema.ts'

/** The source and what is made of it, in the tree; this file runs from `dist/contract`. */
const FOLDER = new URL('../../src/contract/', import.meta.url)
export const files = {
  schema: new URL('live.schema.json', FOLDER),
  types: new URL('types.gen.ts', FOLDER),
  asyncApi: new URL('asyncapi.gen.json', FOLDER),
}

const STYLE = { semi: false, singleQuote: true, printWidth: 120, trailingComma: 'all' } as const
const BANNER = '// Generated from live.schema.json by `npm run contract:generate`. Do not edit.'

/** The generated files as they have to be, by their key in `files`. */
export async function generate(): Promise<{ types: string; asyncApi: string }> {
  const schema = JSON.parse(await readFile(files.schema, 'utf8')) as ContractSchema
  const types = await compile(structuredClone(schema) as object, 'LiveContract', {
    additionalProperties: false,
    bannerComment: BANNER,
    strictIndexSignatures: true,
    style: STYLE,
    unknownAny: true,
    unreachableDefinitions: true,
  })
  return { types, asyncApi: `${JSON.stringify(asyncApi(schema), null, 2)}\n` }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const made = await generate()
  for (const name of ['types', 'asyncApi'] as const) {
    await writeFile(files[name], made[name])
    process.stdout.write(`${fileURLToPath(files[name])}\n`)
  }
}
