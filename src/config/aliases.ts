import { parseDuration } from './kinds.ts'

/**
 * The names that other programs give to our settings, so that an operator who moves keeps the
 * environment. An alias counts where neither `WSPROXY_<NAME>` nor `<NAME>` is set.
 */
interface Alias {
  readonly name: string
  /** The setting that it stands for. */
  readonly of: string
  /** The program whose name it is. */
  readonly program: string
  /**
   * Turns the text of the alias into the text of the setting. Undefined: the text has no part for
   * this gateway. `textOf` gives the text of a setting that stands earlier in the table.
   */
  readonly read?: (text: string, textOf: (setting: string) => string) => string | undefined
}

/** A plain number counts milliseconds. */
const milliseconds = (text: string): string => (/^\d+(\.\d+)?$/.test(text) ? `${text}ms` : text)

/** Our PONG_TIMEOUT runs from the last frame of the client, theirs from the ping. */
const afterPing = (text: string, textOf: (setting: string) => string): string => {
  const timeoutMs = parseDuration(text)
  return timeoutMs === undefined ? text : `${(parseDuration(textOf('PING_INTERVAL')) ?? 0) + timeoutMs}ms`
}

/** A program of Rust reads RUST_LOG too, so a text without a part for us is no error. */
const ownLevel = (text: string): string | undefined =>
  text.split(',').some((each) => /^\s*(wsproxy=)?(trace|debug|info|warn|warning|error|off)\s*$/i.test(each))
    ? text
    : undefined

type Row = readonly [name: string, setting: string, read?: Alias['read']]

const of = (program: string, ...rows: readonly Row[]): Alias[] =>
  rows.map(([name, setting, read]) => ({ name, of: setting, program, ...(read && { read }) }))

/** All aliases. Of two for one setting, the earlier one wins. */
export const ALIASES: readonly Alias[] = [
  ...of(
    'wsproxy (Rust)',
    ['WS_PING_INTERVAL_SECS', 'PING_INTERVAL'],
    ['WS_PING_TIMEOUT_SECS', 'PONG_TIMEOUT', afterPing],
    ['MAX_MESSAGE_SIZE_BYTES', 'MAX_MESSAGE_SIZE'],
    ['SHUTDOWN_GRACE_PERIOD_SECS', 'SHUTDOWN_GRACE_PERIOD'],
    ['AUTH_GRACE_PERIOD_SECS', 'AUTH_RECONNECT_GRACE'],
    ['AUTH_TIMEOUT_SECS', 'HANDSHAKE_TIMEOUT'],
    ['RUST_LOG', 'LOG_LEVEL', ownLevel],
    ['JWT_SECRET', 'AUTH_JWT_SECRET'],
  ),
  ...of(
    'preflight2',
    ['PREFLIGHT_REDIS_URL', 'REDIS_URL'],
    ['PREFLIGHT_REDIS_PASSWORD', 'REDIS_PASSWORD'],
    ['PREFLIGHT_LISTEN_ADDR', 'LISTEN_ADDR'],
    ['PREFLIGHT_ALLOWED_ORIGINS', 'ALLOWED_ORIGINS'],
    ['PREFLIGHT_MAX_MESSAGE_SIZE', 'MAX_MESSAGE_SIZE'],
    ['PREFLIGHT_PING_INTERVAL', 'RUN_PING_INTERVAL'],
    ['PREFLIGHT_PONG_TIMEOUT', 'RUN_PONG_TIMEOUT'],
    ['PREFLIGHT_REDIS_MAX_RETRIES', 'RUN_REDIS_MAX_RETRIES'],
    ['PREFLIGHT_REDIS_RETRY_BASE', 'RUN_REDIS_RETRY_BASE'],
    ['PREFLIGHT_REDIS_RETRY_MAX', 'RUN_REDIS_RETRY_MAX'],
    ['PREFLIGHT_REDIS_REQUEST_TIMEOUT', 'RUN_REDIS_TIMEOUT'],
    ['PREFLIGHT_WRITE_TIMEOUT', 'SLOW_CLOSE_GRACE'],
    ['PREFLIGHT_REDIS_WRITE_TIMEOUT', 'SLOW_CLOSE_GRACE'],
    ['PREFLIGHT_LOG_LEVEL', 'LOG_LEVEL'],
    ['PREFLIGHT_METRICS_ENABLED', 'METRICS_ENABLED'],
  ),
  ...of(
    'the live server of a processor service',
    ['LIVE_WS_PORT', 'PORT'],
    ['LIVE_WS_HOST', 'HOST'],
    ['LIVE_WS_PING_INTERVAL_MS', 'PING_INTERVAL', milliseconds],
    ['LIVE_WS_DRAIN_TIMEOUT_MS', 'SHUTDOWN_GRACE_PERIOD', milliseconds],
  ),
  ...of(
    'dashboard sockets of HiveOps',
    ['WS_RATE_TOKENS_PER_SEC', 'LIVE_RATE'],
    ['WS_RATE_BURST', 'LIVE_RATE_BURST'],
    ['WS_COMPRESSION_ENABLED', 'LIVE_COMPRESSION'],
  ),
]

/**
 * Names of other programs that have no setting here, and what the gateway says when one is set.
 * Undefined: nothing.
 */
export const WITHOUT_SETTING: Readonly<Record<string, (text: string) => string | undefined>> = {
  PUBSUB_POOL_SIZE: () => 'PUBSUB_POOL_SIZE is ignored: one subscriber connection carries all channels',
  WS_AUTH_MODE: (text) =>
    text.toLowerCase() === 'token'
      ? undefined
      : `WS_AUTH_MODE=${JSON.stringify(text)} is ignored: with WS_AUTH_REQUIRED=true the live door accepts JWTs where a key is set, and WS_AUTH_TOKEN`,
}

const BY_SETTING: ReadonlyMap<string, readonly Alias[]> = ALIASES.reduce(
  (found, each) => found.set(each.of, [...(found.get(each.of) ?? []), each]),
  new Map<string, readonly Alias[]>(),
)

export const aliasesOf = (setting: string): readonly Alias[] => BY_SETTING.get(setting) ?? []
