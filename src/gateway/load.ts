import { describeSettings } from '../config/describe.ts'
import type { loadConfig } from '../config/load.ts'
import { freshLogins } from '../config/logins.ts'
import type { Check } from '../preflight/check.ts'
import { loadPreflight } from '../preflight/preflight.ts'
import { loadTracing } from '../telemetry/lifecycle.ts'
import type { Logger } from '../telemetry/log.ts'
import { loadJwts } from './jwts.ts'
import { loadLogin } from './login.ts'

/**
 * Loads what the settings ask for, for `wsproxy serve` and for programs that embed the gateway.
 * @param environment where the settings are from: its files of passwords count at each connect.
 * @param checks preflight checks beside those that the settings name.
 * @throws ConfigError when a part cannot work here.
 */
export async function loadParts(
  loaded: ReturnType<typeof loadConfig>,
  environment: NodeJS.ProcessEnv,
  log: Logger,
  checks?: readonly Check[],
) {
  const { config } = loaded
  const preflight = await loadPreflight(config, log, checks)
  const tracing = await loadTracing(config, log)
  const jwts = await loadJwts(config, log)
  const login = await loadLogin(config, log)
  const settings = describeSettings(loaded)
  return { config, logins: freshLogins(environment), log, tracing, jwts, login, preflight, settings }
}
