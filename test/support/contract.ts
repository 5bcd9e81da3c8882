import { schemaText, validatorOf } from '../../src/contract/live/schema.ts'
import { contractAjv, referenceTo } from '../../tools/contract/ajv.ts'
import type { ContractSchema } from '../../tools/contract/schema.ts'

const schema = JSON.parse(schemaText) as ContractSchema
const problem = validatorOf(contractAjv(schema).getSchema(referenceTo(schema, 'ServerFrame'))!)

/** Whether the URL belongs to the live door. */
export const isLive = (url: string): boolean => /\/live(\?|$)|\/api\/dashboard\/ws\//.test(url)

/** @throws when a frame of the server does not match the contract. */
export function checkServerFrame(text: string): void {
  const value = JSON.parse(text)
  const why = problem(value)
  if (why !== undefined) throw new Error(`the frame does not match the contract (${why}): ${text.slice(0, 300)}`)
}
