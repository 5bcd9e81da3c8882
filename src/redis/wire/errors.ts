/** Redis itself answered with this error; its message begins with a code, `WRONGTYPE` for instance. */
export class ErrorReply extends Error {}

/** The command never left this process: the connection ended before. */
export class Unsent extends Error {}

/** Whether the key or sharded channel is another server's: `MOVED <slot> <address>` (Redis Cluster specification, redirection). */
export const isMoved = (error: unknown): boolean => isReply(error) && /^(MOVED|ASK|CLUSTERDOWN)\b/.test(error.message)

/** The server to which a key is just moving, `host:port`: it has to be asked there (`ASK`, Redis Cluster specification). */
export const askedAt = (error: unknown): string | undefined =>
  isReply(error) ? /^ASK \d+ (\S+)/.exec(error.message)?.[1] : undefined

/** Whether the server says that it cannot serve at the moment: while it loads, or is a replica, or cannot save or replicate, or its cluster is not whole. */
export const isUnable = (error: unknown): boolean =>
  isReply(error) &&
  /^(LOADING|BUSY|MASTERDOWN|READONLY|MISCONF|NOREPLICAS|OOM|CLUSTERDOWN|TRYAGAIN|MOVED|ASK)\b/.test(error.message)

/**
 * Whether the server cannot save its data, and therefore refuses PING with whatever writes, while it goes on with all else
 * (redis.conf, stop-writes-on-bgsave-error).
 */
export const cannotSave = (error: unknown): boolean => isReply(error) && /^MISCONF\b/.test(error.message)

/** Whether Redis itself answered with this error; all others mean that no answer is known. */
export const isReply = (error: unknown): error is ErrorReply => error instanceof ErrorReply
