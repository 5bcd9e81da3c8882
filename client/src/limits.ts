/** The limits of the client. This module imports nothing, so a bundler writes them in place. */

export const FIRST_PAUSE_MS = 500
export const MAX_PAUSE_MS = 20_000
/** A socket that was open for this long was a success: the pauses begin again. */
export const STEADY_MS = 10_000
/** Browsers hide protocol pings from a page, so the client asks by itself after this silence. */
export const SILENCE_MS = 25_000
export const ANSWER_MS = 10_000
/** After a sleep or a change of network the answer must come sooner. */
export const WAKE_ANSWER_MS = 2000
/** How long an upgrade may take. */
export const DIAL_MS = 20_000
/** After so many dials that did not open, the network may let no WebSocket through. */
export const MAX_UNOPENED = 3
/** How long a network that let no WebSocket through is not asked again, also after a reload. */
export const PLAIN_MS = 300_000
/** Where the end of that time is kept. */
export const PLAIN_KEY = 'wsproxy plain'
export const CREDENTIALS = 4401
export const PROTOCOL_ERROR = 1002
export const PING = '{"type":"ping"}'
/** Timers with a longer pause fire at once. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1
/** How long a cursor may be newer than the kept one. */
export const SAVE_MS = 250
/**
 * Unread messages past which a session leaves the network until they are read. Its log keeps the
 * rest; without a log the oldest are dropped, with a gap.
 */
export const MAX_UNREAD = 10_000
