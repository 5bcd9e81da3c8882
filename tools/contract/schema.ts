/** A JSON Schema as the contract tools read it. */
export type Schema = boolean | { readonly [keyword: string]: unknown }

/**
 * The schema file: its version, and a definition for each frame. `ClientFrame` and `ServerFrame`
 * list the frames by direction.
 */
export interface ContractSchema {
  readonly $id: string
  readonly version: string
  readonly description?: string
  readonly $defs: Readonly<Record<string, { readonly [keyword: string]: unknown }>>
}

export type Direction = 'client' | 'server'
const LISTS = { client: 'ClientFrame', server: 'ServerFrame' } as const

/** The names of the definitions that are frames of a direction. */
export function framesOf({ $defs }: ContractSchema, direction: Direction): string[] {
  const list = $defs[LISTS[direction]]
  const alternatives = (list?.anyOf ?? list?.oneOf ?? []) as { $ref: string }[]
  return alternatives.map(({ $ref }) => $ref.replace('#/$defs/', ''))
}
