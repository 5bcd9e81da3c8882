/** Why messages are lost: two closed lists. The README and the runbook explain each. */

export const LOSS_REASONS = [
  'slow_client',
  'upstream_full',
  'upstream_uncertain',
  'rate_limit',
  'oversize',
  'invalid',
  'drain',
  'closing',
] as const

/** Why a message did not reach whom it was for. A closed list. */
export type LossReason = (typeof LOSS_REASONS)[number]

export const GAP_REASONS = [
  'redis_down',
  'redis_output_limit',
  'redis_deaf',
  'redis_moved',
  'slow_client',
  'drain',
] as const

/** Why messages may have been lost, where nobody can tell how many. A closed list. */
export type GapReason = (typeof GAP_REASONS)[number]
