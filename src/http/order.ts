import { BadRequest, parseJson } from './body.ts'
import type { ApiRequest } from './routes.ts'

/** How long the call of an operator waits for Redis and for the answers of instances, in ms. */
export const ANSWERS_MS = 3000

/** What the instances have answered to an order. */
export interface FleetAnswer {
  /** Sockets that they have closed. */
  readonly sockets: number
  /** Instances that have answered. */
  readonly instances: number
  /** Instances that received the order; undefined where Redis does not say that (Cluster). */
  readonly expected: number | undefined
}

/** Whether all instances have answered. Undefined: it is not known how many there are. */
export const isComplete = ({
  instances,
  expected,
}: Pick<FleetAnswer, 'instances' | 'expected'>): boolean | undefined =>
  expected === undefined ? undefined : instances >= expected

/** The members of the body of an order; none when it is not an object. @throws BadRequest */
export function membersOf(request: ApiRequest): Record<string, unknown> {
  const body = parseJson(request)
  return (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>
}

/** Returns the only member, which must be one of `kinds`. @throws BadRequest otherwise. */
export function onlyOne(members: Record<string, unknown>, kinds: readonly string[]): [by: string, value: unknown] {
  const named = Object.entries(members)
  const [[by, value] = ['', undefined]] = named
  if (named.length === 1 && kinds.includes(by)) return [by, value]
  const fields = kinds.map((kind) => `"${kind}"`).join(', ')
  throw new BadRequest(`The body must be an object with exactly one of ${fields}.`, by || undefined)
}
