import { readFileSync } from 'node:fs'
import type { ValidateFunction } from 'ajv'

/** The contract of the live door. Its schema is the single source: types, document and rules are made from it. */

interface Definition {
  readonly properties?: { readonly type?: { readonly const?: string } }
}

const read = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8')

/** The schema as it is written, for who asks over HTTP. */
export const schemaText = read('./live.schema.json')
/** The AsyncAPI document beside it. */
export const asyncApiText = read('./asyncapi.gen.json')

const schema = JSON.parse(schemaText) as { $id: string; version: string; $defs: Record<string, Definition> }

/** The version of the contract. */
export const CONTRACT_VERSION = schema.version

/** Frames that the schema describes by a fixed `type`; `critical_alert` is one that agents may send as well. */
const reserved = new Set(Object.values(schema.$defs).flatMap(({ properties }) => properties?.type?.const ?? []))
reserved.delete('critical_alert')

/** Whether `type` is the name of a frame that only the server or a client itself may send: no agent and no broadcast. */
export const isReservedType = (type: string): boolean => reserved.has(type)

/** What is wrong with a value, naming the field, what was expected and what came; undefined: nothing. */
export type FrameRule = (value: unknown) => string | undefined

/** The rule of a function that ajv has made of a definition. */
export function ruleOf(validate: ValidateFunction): FrameRule {
  return (value) => {
    if (validate(value)) return undefined
    const { instancePath, message, params } = validate.errors![0]!
    const field = instancePath.slice(1).replaceAll('/', '.') || params.missingProperty || 'the frame'
    if (params.missingProperty !== undefined) return `${params.missingProperty} is missing`
    return `${field} ${message}, got ${kindOf(at(value, instancePath))}`
  }
}

/** The value at a JSON pointer made of names of the schema and numbers. */
const at = (value: unknown, pointer: string): unknown =>
  pointer
    .split('/')
    .slice(1)
    .reduce((inner, key) => (inner as Record<string, unknown>)[key], value)

/** What a value is, without a word of its content. */
function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'string') return `a string of ${value.length} characters`
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
