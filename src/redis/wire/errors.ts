/** An error reply of Redis. Its message begins with a code, for instance `WRONGTYPE`. */
export class ErrorReply extends Error {}

/** The command never left this process, because the connection ended first. */
export class Unsent extends Error {}

/**
 * Another server has the key or sharded channel: `MOVED <slot> <address>` (Redis Cluster
 * specification, redirection).
 */
export const isMoved = (error: unknown): boolean => isReply(error) && /^(MOVED|ASK|CLUSTERDOWN)\b/.test(error.message)

/**
 * Returns the server, as `host:port`, to which the key's slot is being moved: the command has to be
 * repeated there (Redis Cluster specification, ASK redirection). Undefined for any other error.
 */
export const askedAt = (error: unknown): string | undefined =>
  isReply(error) ? /^ASK \d+ (\S+)/.exec(error.message)?.[1] : undefined

/**
 * The server cannot serve right now: it loads, is a replica, cannot save or replicate, or its
 * cluster is incomplete.
 */
export const isUnable = (error: unknown): boolean =>
  isReply(error) &&
  /^(LOADING|BUSY|MASTERDOWN|READONLY|MISCONF|NOREPLICAS|OOM|CLUSTERDOWN|TRYAGAIN|MOVED|ASK)\b/.test(error.message)

/**
 * The server cannot save its data. It then refuses PING and every write, but serves all other
 * commands (redis.conf, stop-writes-on-bgsave-error).
 */
export const cannotSave = (error: unknown): boolean => isReply(error) && /^MISCONF\b/.test(error.message)

/** The ACL of Redis does not let its user do this. */
export const isForbidden = (error: unknown): boolean => isReply(error) && /^NOPERM\b/.test(error.message)

/** The server or a proxy in front of it does not know this command, or forbids it. */
export const isRefusedCommand = (error: unknown): boolean =>
  isReply(error) &&
  /^NOPERM\b|\bunknown (sub)?command\b|\b(unsupported|not (allowed|supported)|disabled)\b/i.test(error.message)

/** Redis answered with this error. Any other error means that no answer arrived. */
export const isReply = (error: unknown): error is ErrorReply => error instanceof ErrorReply
