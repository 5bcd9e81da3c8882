import { schemaText, validatorOf } from '../../src/contract/live/schema.ts'
import { contractAjv, referenceTo } from '../../tools/contract/ajv.ts'
import type { ContractSchema } from '../../tools/contract/schema.ts'

const schema = JSON.parse(schemaText) as ContractSchema
/** Compiling takes 0.1 s of CPU, and most test files open no socket of the live door. */
let validator: ReturnType<typeof validatorOf> | undefined

/** Whether the URL belongs to the live door. */
export const isLive = (url: string): boolean => /\/live(\?|$)|\/api\/dashboard\/ws\//.test(url)

/** @throws when a frame of the server does not match the contract. */
export function checkServerFrame(text: string): void {
  validator ??= validatorOf(contractAjv(schema).getSchema(referenceTo(schema, 'ServerFrame'))!)
  const value = JSON.parse(text)
  const why = validator(value)
  if (why !== undefined) throw new Error(`the frame does not match the contract (${why}): ${text.slice(0, 300)}`)
}
