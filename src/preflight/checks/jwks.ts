import type { Check } from '../check.ts'

/** The header `Date` has whole seconds, and answers take time. */
const MAX_SKEW_MS = 5000

const check: Check = {
  name: 'jwks',
  priority: 15,
  appliesTo: 'all',
  async execute(_, __, { gateway: { keySet } }) {
    const state = await keySet()
    if (state === undefined) return { status: 'skipped', message: 'AUTH_JWKS_URL is not set' }
    const { isAway, reason = 'it has not answered yet', skewMs = 0 } = state
    if (isAway)
      return {
        status: 'warn',
        message: `AUTH_JWKS_URL gives no keys: ${reason}`,
        remediation: 'Request the address from this machine (curl -v). Until it answers, JWTs of unknown keys get 503.',
      }
    if (Math.abs(skewMs) <= MAX_SKEW_MS) return { status: 'pass', message: 'AUTH_JWKS_URL answers with keys' }
    const seconds = Math.round(Math.abs(skewMs) / 1000)
    return {
      status: 'warn',
      message: `the clock of AUTH_JWKS_URL is ${seconds} s ${skewMs > 0 ? 'ahead of' : 'behind'} ours`,
      details: { skewMs },
      remediation: 'Synchronise the clock of this machine (chronyc tracking, timedatectl), or raise AUTH_JWT_SKEW.',
    }
  },
}
export default check
