/** The contract's schema in ajv. */
import { Ajv2020, type Options } from 'ajv/dist/2020.js'
import type { ContractSchema } from './schema.ts'

/** Returns ajv with every definition as `<$id>#/$defs/<name>`. @throws for an invalid schema. */
export function contractAjv(schema: ContractSchema, code: Options['code'] = {}): Ajv2020 {
  const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, keywords: ['version'], code })
  return ajv.addSchema(schema)
}

export const referenceTo = (schema: ContractSchema, name: string): string => `${schema.$id}#/$defs/${name}`
