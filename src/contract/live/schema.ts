import { readFileSync } from 'node:fs'
import type { ValidateFunction } from 'ajv'
import { PACKAGE_ROOT } from '../root.ts'

/**
 * The contract of the live door. Types, the AsyncAPI document and validators are generated from its
 * schema.
 */

interface Definition {
  readonly properties?: { readonly type?: { readonly const?: string } }
}

const read = (name: string): string => readFileSync(new URL(`dist/src/contract/live/${name}`, PACKAGE_ROOT), 'utf8')

/** The text of the schema, as HTTP serves it. */
export const schemaText = read('live.schema.json')
/** The text of the AsyncAPI document. */
export const asyncApiText = read('asyncapi.gen.json')

const schema = JSON.parse(schemaText) as { $id: string; version: string; $defs: Record<string, Definition> }

/** The version of the contract. */
export const CONTRACT_VERSION = schema.version

/** Types that the schema fixes for a frame. Agents may also send one of them, `critical_alert`. */
const reserved = new Set(Object.values(schema.$defs).flatMap(({ properties }) => properties?.type?.const ?? []))
reserved.delete('critical_alert')

/** Whether only the server or a client may send frames of this type, and no agent or broadcast. */
export const isReservedType = (type: string): boolean => reserved.has(type)

/** Returns undefined for a valid value, else the field, what was expected and what came. */
export type Validator = (value: unknown) => string | undefined

/** Wraps a function that ajv compiled from a definition of the schema. */
export function validatorOf(validate: ValidateFunction): Validator {
  return (value) => {
    if (validate(value)) return undefined
    const { instancePath, message, params } = validate.errors![0]!
    const field = instancePath.slice(1).replaceAll('/', '.') || params.missingProperty || 'the frame'
    if (params.missingProperty !== undefined) return `${params.missingProperty} is missing`
    return `${field} ${message}, got ${kindOf(at(value, instancePath))}`
  }
}

/** The value at a JSON pointer whose parts are names of the schema or numbers. */
const at = (value: unknown, pointer: string): unknown =>
  pointer
    .split('/')
    .slice(1)
    .reduce((inner, key) => (inner as Record<string, unknown>)[key], value)

/** The kind of a value. Its content is never repeated. */
function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'string') return `a string of ${value.length} characters`
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
