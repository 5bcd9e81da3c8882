import type { EffectiveSetting } from '../config/describe.ts'
import type { FreshLogins } from '../config/logins.ts'
import type { Config } from '../config/table.ts'
import type { Checklist } from '../doors/run/checklist.ts'
import type { Jwts } from '../identity/jwts.ts'
import type { LoadedLogin } from '../login/open.ts'
import type { LoadedPreflight } from '../preflight/preflight.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Tracing } from '../telemetry/tracing.ts'
import type { Peers } from './peers.ts'

/** What the workers of one machine share (WORKERS). */
interface Sharing {
  /** How many they are. */
  readonly workers: number
  /** All of them accept it on the path of the test upgrade. */
  readonly secret: string
  /** The others, where an answer is that of all. */
  readonly peers: Peers
}

export interface GatewayOptions {
  readonly config: Config
  readonly redisUrl: string
  /** Credentials whose files count anew at each connect. Default: they never change. */
  readonly logins?: FreshLogins | undefined
  readonly log: Logger
  /** Undefined: no key of JWTs is configured. */
  readonly jwts?: Jwts | undefined
  /** Undefined: users do not log in here. */
  readonly login?: LoadedLogin | undefined
  /** Undefined: tracing is off. */
  readonly tracing?: Tracing | undefined
  /** The settings with secrets masked, for `wsproxy config --running`. Default: an empty list. */
  readonly settings?: readonly EffectiveSetting[]
  /** The checklist of the run door. Default: that of WEPP runs. */
  readonly checklist?: Checklist
  /** The preflight checks that were loaded. Default: none. */
  readonly preflight?: LoadedPreflight
  /** Set in a worker. Default: this process has its ports for itself. */
  readonly sharing?: Sharing | undefined
}
