// Generated from the contract of the gateway by `npm run generate`. Do not edit.

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
  { code: 1000, reason: 'stream ended', client: 'final', hasHint: false },
  { code: 1001, reason: 'draining', client: 'wait', hasHint: false },
  { code: 1003, reason: 'text frames only', client: 'final', hasHint: false },
  { code: 1008, reason: 'client too slow', client: 'wait', hasHint: false },
  { code: 1008, reason: 'too many frames', client: 'wait', hasHint: false },
  { code: 1009, reason: 'message too big', client: 'final', hasHint: false },
  { code: 1011, reason: 'internal error', client: 'wait', hasHint: false },
  { code: 1013, reason: 'redis is away, try again later', client: 'wait', hasHint: false },
  { code: 4401, reason: 'not authorised', client: 'new-token', hasHint: false },
  { code: 4401, reason: 'expired retry=0', client: 'new-token', hasHint: false },
  { code: 4401, reason: 'key-removed', client: 'new-token', hasHint: false },
  { code: 4401, reason: 'revoked', client: 'new-token', hasHint: false },
  { code: 4403, reason: 'forbidden', client: 'final', hasHint: false },
  { code: 4408, reason: 'nothing heard from you', client: 'wait', hasHint: false },
  { code: 4400, reason: 'malformed-id', client: 'final', hasHint: false },
  { code: 4400, reason: 'cursor-malformed', client: 'final', hasHint: false },
  { code: 4400, reason: 'malformed-request', client: 'final', hasHint: false },
  { code: 4400, reason: 'bad-request', client: 'final', hasHint: false },
  { code: 4401, reason: 'credentials-missing', client: 'new-token', hasHint: false },
  { code: 4401, reason: 'credentials-malformed', client: 'new-token', hasHint: false },
  { code: 4401, reason: 'admin-required', client: 'new-token', hasHint: false },
  { code: 4403, reason: 'admin-rejected', client: 'final', hasHint: false },
  { code: 4429, reason: 'admin-limited', client: 'wait', hasHint: true },
  { code: 4403, reason: 'admin-disabled', client: 'final', hasHint: false },
  { code: 4401, reason: 'bad-credentials', client: 'new-token', hasHint: false },
  { code: 4401, reason: 'login-required', client: 'new-token', hasHint: false },
  { code: 4401, reason: 'refresh-rejected', client: 'new-token', hasHint: false },
  { code: 4403, reason: 'role-required', client: 'final', hasHint: false },
  { code: 4429, reason: 'login-limited', client: 'wait', hasHint: true },
  { code: 4401, reason: 'token-rejected', client: 'new-token', hasHint: false },
  { code: 4403, reason: 'token-single-use', client: 'final', hasHint: false },
  { code: 4401, reason: 'token-expired', client: 'new-token', hasHint: false },
  { code: 4403, reason: 'origin-not-allowed', client: 'final', hasHint: false },
  { code: 4403, reason: 'forbidden', client: 'final', hasHint: false },
  { code: 4404, reason: 'not-found', client: 'final', hasHint: false },
  { code: 4400, reason: 'method-not-allowed', client: 'final', hasHint: false },
  { code: 4400, reason: 'stream-conflict', client: 'final', hasHint: false },
  { code: 4400, reason: 'producer-gap', client: 'final', hasHint: false },
  { code: 4403, reason: 'producer-stale', client: 'final', hasHint: false },
  { code: 4400, reason: 'offset-gone', client: 'final', hasHint: false },
  { code: 4400, reason: 'forks-unsupported', client: 'final', hasHint: false },
  { code: 4400, reason: 'body-too-large', client: 'final', hasHint: false },
  { code: 4400, reason: 'upgrade-required', client: 'final', hasHint: false },
  { code: 4400, reason: 'unsupported-version', client: 'final', hasHint: false },
  { code: 4429, reason: 'connect-rate', client: 'wait', hasHint: true },
  { code: 4429, reason: 'address-limit', client: 'wait', hasHint: true },
  { code: 1011, reason: 'internal-error', client: 'wait', hasHint: true },
  { code: 4503, reason: 'redis-unavailable', client: 'wait', hasHint: true },
  { code: 4503, reason: 'keys-unavailable', client: 'wait', hasHint: true },
  { code: 4503, reason: 'at-capacity', client: 'wait', hasHint: true },
  { code: 4503, reason: 'draining', client: 'wait', hasHint: true },
  { code: 4400, reason: 'revocations-full', client: 'final', hasHint: false },
  { code: 4503, reason: 'redis-timeout', client: 'wait', hasHint: true },
  { code: 4409, reason: 'session-taken', client: 'final', hasHint: false },
]
