/** An error reply of Redis. Its message begins with a code, for instance `WRONGTYPE`. */
export class ErrorReply extends Error {}

/** The command never left this process, because the connection ended first. */
export class Unsent extends Error {}

/** What the code of an error reply means for the command and for the connection. */
type Meaning =
  /** Redis has decided: the same command fails again until an operator changes something. */
  | 'answer'
  /** The server cannot serve now. Redis has not run the command, so it can be sent again. */
  | 'later'
  /** As `later`, and another server has the key or the sharded channel. */
  | 'moved'
  /**
   * As `later`, but this connection will never serve: it leads to the wrong server, or has no user.
   */
  | 'reconnect'

/**
 * The only table of error codes (redis.io: "Redis serialization protocol", simple errors; the codes
 * of `server.c` and `cluster.c`). A code that is not here says that the command itself is wrong, or
 * comes from a proxy in front of Redis: `meaningOf` is undefined then.
 */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  NOPERM: 'answer',
  WRONGTYPE: 'answer',
  ASK: 'moved',
  CLUSTERDOWN: 'moved',
  MOVED: 'moved',
  BUSY: 'later',
  LOADING: 'later',
  MISCONF: 'later',
  NOREPLICAS: 'later',
  OOM: 'later',
  TRYAGAIN: 'later',
  UNBLOCKED: 'later',
  WRONGPASS: 'later',
  MASTERDOWN: 'reconnect',
  NOAUTH: 'reconnect',
  READONLY: 'reconnect',
}

/**
 * Errors with the code ERR that pass: a server without free connections, and what the proxies Envoy
 * and twemproxy answer while their server is away.
 */
const PASSING = /^ERR (max number of clients|max requests limit|no upstream host|upstream |server closed|Connection )/i

/** Redis up to 6.2 puts the error of a command inside a script behind a text of its own. */
const IN_SCRIPT = /^ERR Error running script.*?: -?([A-Z]{2,}) /

/** Returns what an error means; undefined when Redis sent no error, or one without a known code. */
function meaningOf(error: unknown): Meaning | undefined {
  if (!isReply(error)) return undefined
  const { message } = error
  const [, code = ''] = IN_SCRIPT.exec(message) ?? /^([A-Z]+)\b/.exec(message) ?? []
  return MEANINGS[code] ?? (PASSING.test(message) ? 'later' : undefined)
}

/**
 * Another server has the key or sharded channel: `MOVED <slot> <address>` (Redis Cluster
 * specification, redirection).
 */
export const isMoved = (error: unknown): boolean => meaningOf(error) === 'moved'

/**
 * Returns the server, as `host:port`, to which the key's slot is being moved: the command has to be
 * repeated there (Redis Cluster specification, ASK redirection). Undefined for any other error.
 */
export const askedAt = (error: unknown): string | undefined =>
  isReply(error) ? /^ASK \d+ (\S+)/.exec(error.message)?.[1] : undefined

/**
 * Redis did not run the command because the server cannot serve now: it loads, is busy, is a
 * replica, cannot save or replicate, or its cluster is incomplete. The command can be sent again.
 */
export function isTemporary(error: unknown): boolean {
  const meaning = meaningOf(error)
  return meaning !== undefined && meaning !== 'answer'
}

/** The connection leads to a server that will not serve it: make another connection. */
export const endsConnection = (error: unknown): boolean => meaningOf(error) === 'reconnect'

/** The server is a replica, so it refuses every write. */
export const isReadOnly = (error: unknown): boolean => endsConnection(error) && /READONLY/.test(String(error))

/**
 * The server cannot save its data. It then refuses PING and every write, but serves all other
 * commands (redis.conf, stop-writes-on-bgsave-error).
 */
export const cannotSave = (error: unknown): boolean => isReply(error) && /^MISCONF\b/.test(error.message)

/** The key holds a value of another type than the command needs. */
export const isWrongType = (error: unknown): boolean => isReply(error) && /\bWRONGTYPE\b/.test(error.message)

/**
 * The ACL of Redis does not let its user do this. Inside a script the error has the code ERR, or
 * none at all (Redis 6.2).
 */
export const isForbidden = (error: unknown): boolean =>
  isReply(error) &&
  /^NOPERM\b|\b(ACL failure in script|The user executing the script can't (run|access))/.test(error.message)

/** The server or a proxy in front of it does not know this command, or forbids it. */
export const isRefusedCommand = (error: unknown): boolean =>
  isReply(error) &&
  /^NOPERM\b|\bunknown (sub)?command\b|\b(unsupported|not (allowed|supported)|disabled)\b/i.test(error.message)

/** Redis answered with this error. Any other error means that no answer arrived. */
export const isReply = (error: unknown): error is ErrorReply => error instanceof ErrorReply
