import { type FrameErrorCode, frameErrors, type Refusal, refusals } from './codes.ts'

/** The refusal whose status each code has as an answer to a call of HTTP. */
const ALIKE: Readonly<Record<FrameErrorCode, Refusal>> = {
  'invalid-json': refusals['bad-request'],
  'rate-limited': refusals['connect-rate'],
  'upstream-disabled': refusals.forbidden,
  forbidden: refusals.forbidden,
  'auth-rejected': refusals.forbidden,
  'upstream-unavailable': refusals['redis-unavailable'],
  // Without an idempotency key a repetition may publish the frame twice.
  'upstream-uncertain': { ...refusals['redis-unavailable'], retryAfter: false },
}

/** The refusal that answers a call whose frame was not published, or may not have been. */
export const frameRefusal = (code: FrameErrorCode, message: string = frameErrors[code]): Refusal => ({
  ...ALIKE[code],
  code,
  message,
})
