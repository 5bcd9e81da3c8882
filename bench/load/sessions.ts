/** Names and tokens of the bench's sessions. All have the same length, so that every PUBLISH has it too. */

const DIGITS = 6

export const sessionId = (index: number): string => `bench-${String(index).padStart(DIGITS, '0')}`

export const sessionToken = (index: number): string => `token-of-the-bench-${String(index).padStart(DIGITS, '0')}`
