/**
 * Names and tokens of the bench's sessions. All have the same length, so every PUBLISH has the same
 * length.
 */

export const SESSION_DIGITS = 6

export const sessionId = (index: number): string => `bench-${String(index).padStart(SESSION_DIGITS, '0')}`

export const sessionToken = (index: number): string =>
  `token-of-the-bench-${String(index).padStart(SESSION_DIGITS, '0')}`
