import { loadConfig } from '../../src/config/load.ts'
import { freshLogins } from '../../src/config/logins.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import { keptLog } from './link.ts'
import { atEnd, type Scope } from './scope.ts'
import { AMPLE_CHECK_TIMEOUT } from './wait.ts'

/** A gateway that has started, with or without its Redis. */
export interface BareGateway {
  readonly gateway: Gateway
  readonly http: string
  readonly ws: string
  readonly admin: string
  readonly log: Record<string, unknown>[]
  stop(): Promise<void>
}

/** Starts a gateway in this process and does not wait for its Redis. */
function startBareGateway(redisUrl: string, env: Record<string, string> = {}): BareGateway {
  const all = { LISTEN_ADDR: '127.0.0.1:0', PREFLIGHT_CHECK_TIMEOUT: AMPLE_CHECK_TIMEOUT, ...env }
  const { config } = loadConfig(all)
  const { log, lines } = keptLog()
  const gateway = new Gateway({ config, redisUrl, logins: freshLogins(all), log })
  const stop = async () => {
    void gateway.stop()
    await gateway.stop()
  }
  let ports: ReturnType<Gateway['listen']>
  try {
    ports = gateway.listen()
  } catch (error) {
    void stop()
    throw error
  }
  const { port, adminPort } = ports
  return {
    gateway,
    http: `http://127.0.0.1:${port}`,
    ws: `ws://127.0.0.1:${port}`,
    admin: `http://127.0.0.1:${adminPort}`,
    log: lines,
    stop,
  }
}

/** A bare gateway that stops when the scope ends. */
export function bareGatewayFor(scope: Scope, ...args: Parameters<typeof startBareGateway>): BareGateway {
  const started = startBareGateway(...args)
  atEnd(scope, () => started.stop())
  return started
}
