import { closes, finalCloses, refusals } from '../src/contract/codes.ts'
import { CONTRACT_VERSION } from '../src/contract/live/schema.ts'

const HEAD = '// Generated from the contract of the gateway by `npm run generate`. Do not edit.\n'

/** Another socket has the session. Clients must know this code before a gateway sends it. */
const SESSION_TAKEN = 4409
/** The only final close after which a client with a token function dials once more. */
const NEW_TOKEN = 4401

const finalCodes = (): number[] => [...finalCloses(), SESSION_TAKEN].sort((a, b) => a - b)

/** The text of `client/src/codes.gen.ts`. */
export function clientCodes(): string {
  return `${HEAD}
/** Close codes after which another dial would end the same way. After 4401 a new token may help. */
export const finalCodes: readonly number[] = [${finalCodes().join(', ')}]

/** The major version of the contract of live topics that this client knows. */
export const contractMajor = ${Number.parseInt(CONTRACT_VERSION, 10)}
`
}

/** Every close with which the gateway ends or refuses a session, and what its client does. */
function closeCases(): string[] {
  const sent = Object.values(closes).map(({ code, reason, reconnect }) => ({
    code,
    reason,
    client: reconnect ? 'wait' : code === NEW_TOKEN ? 'new-token' : 'final',
    hasHint: false,
  }))
  const refused = Object.values(refusals).map(({ close, code, client }) => ({
    code: close,
    reason: code,
    client,
    hasHint: client === 'wait',
  }))
  const taken = { code: SESSION_TAKEN, reason: 'session-taken', client: 'final', hasHint: false }
  return [...sent, ...refused, taken].map(
    ({ code, reason, client, hasHint }) =>
      `  { code: ${code}, reason: '${reason}', client: '${client}', hasHint: ${hasHint} },\n`,
  )
}

/** The text of `client/src/conformance/cases.gen.ts`. */
export function conformanceCases(): string {
  return `${HEAD}
/** A close, and what a client does after it. */
export interface CloseCase {
  readonly code: number
  readonly reason: string
  /** It gives up, asks for a new token once, or waits and comes back. */
  readonly client: 'final' | 'new-token' | 'wait'
  /** The reason says how long to wait. */
  readonly hasHint: boolean
}

export const closeCases: readonly CloseCase[] = [
${closeCases().join('')}]
`
}
