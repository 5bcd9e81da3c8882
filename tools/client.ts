import { finalCloses } from '../src/contract/codes.ts'
import { CONTRACT_VERSION } from '../src/contract/live/schema.ts'

const HEAD = '// Generated from the contract of the gateway by `npm run generate`. Do not edit.\n'

/** Another socket has the session. Clients must know this code before a gateway sends it. */
const SESSION_TAKEN = 4409

const finalCodes = (): number[] => [...finalCloses(), SESSION_TAKEN].sort((a, b) => a - b)

/** The text of `client/src/codes.gen.ts`. */
export function clientCodes(): string {
  return `${HEAD}
/** Close codes after which another dial would end the same way. After 4401 a new token may help. */
export const finalCodes: ReadonlySet<number> = new Set([${finalCodes().join(', ')}])

/** The major version of the contract of live topics that this client knows. */
export const contractMajor = ${Number.parseInt(CONTRACT_VERSION, 10)}
`
}
