/** The contract's schema in ajv. */
import { createRequire } from 'node:module'
import type { Ajv2020, Options } from 'ajv/dist/2020.js'
import type { ContractSchema } from './schema.ts'

const require = createRequire(import.meta.url)

/** Returns ajv with every definition as `<$id>#/$defs/<name>`. @throws for an invalid schema. */
export function contractAjv(schema: ContractSchema, code: Options['code'] = {}): Ajv2020 {
  // Most test files import this and compile nothing. ajv has 80 files.
  const { Ajv2020 } = require('ajv/dist/2020.js') as typeof import('ajv/dist/2020.js')
  const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, keywords: ['version'], code })
  return ajv.addSchema(schema)
}

export const referenceTo = (schema: ContractSchema, name: string): string => `${schema.$id}#/$defs/${name}`
