import { loadConfig } from '../../src/config/load.ts'
import { sessionAuth } from '../../src/contract/names.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import { loadJwts } from '../../src/gateway/jwts.ts'
import { loadLogin } from '../../src/gateway/login.ts'
import { loadPreflight } from '../../src/preflight/preflight.ts'
import { createLogger } from '../../src/telemetry/log.ts'
import { type ConnectClientOptions, connect, type TestClient } from './client.ts'
import { type Client, startRedis, type TestRedis } from './redis.ts'
import { type Scope, stopAtEnd } from './scope.ts'
import { AMPLE_CHECK_TIMEOUT, eventually } from './wait.ts'

/** A gateway in this process with its Redis, and what tests do with them. */
export interface TestGateway {
  readonly url: string
  readonly http: string
  readonly redis: TestRedis
  /** A Redis client that acts as agents and backends do. */
  readonly agent: Client
  /** Log lines so far, parsed. */
  readonly log: Record<string, unknown>[]
  readonly gateway: Gateway
  sessionUrl(session: string, agent?: string): string
  /** Stores a token for the session and returns it. */
  token(session: string, token?: string): Promise<string>
  /** Stores a token and connects with it. */
  join(session: string, options?: ConnectClientOptions): Promise<TestClient>
  /** The first sample of a metric with these labels; 0 when the page has no such sample. */
  metric(name: string, labels?: Record<string, string>): Promise<number>
  stop(): Promise<void>
}

/** Channels that a gateway without sockets has confirmed: the bus of the live door. */
const OWN_CHANNELS = 1

/** Confirmed channels beside those of the gateway itself. */
export const socketChannels = async ({ metric }: TestGateway): Promise<number> =>
  (await metric('wsproxy_redis_pubsub_channels_active')) - OWN_CHANNELS

export interface TestGatewayOptions {
  /** Settings, as environment variables. */
  readonly env?: Record<string, string>
  /** The Redis to use instead of a new one; it does not stop with the gateway. */
  readonly redis?: TestRedis
  /** The clock of logins (ms since the epoch). */
  readonly now?: () => number
}

const DEFAULTS = {
  LISTEN_ADDR: '127.0.0.1:0',
  LOG_LEVEL: 'debug',
  CONNECT_RATE: '0',
  CONNECT_RATE_PER_IP: '0',
  REFUSED_RATE_PER_IP: '0',
  PREFLIGHT_CHECK_TIMEOUT: AMPLE_CHECK_TIMEOUT,
  // Tests read what they have just caused.
  METRICS_MAX_AGE: '0',
}

/** Starts a gateway and, unless one is given, a Redis; waits until they are connected. */
export async function startGateway({ env = {}, redis: given, now }: TestGatewayOptions = {}): Promise<TestGateway> {
  const redis = given ?? (await startRedis())
  const log: Record<string, unknown>[] = []
  const { config } = loadConfig({ ...DEFAULTS, ...env })
  const logger = createLogger(config.logLevel, { write: (line: string) => void log.push(JSON.parse(line)) })
  const preflight = await loadPreflight(config, logger)
  const jwts = await loadJwts(config, logger)
  const login = await loadLogin(config, logger, now)
  const gateway = new Gateway({ config, redisUrl: redis.url, log: logger, jwts, login, preflight })
  const { port } = gateway.listen()
  const agent = await redis.client()
  await eventually(() => gateway.redisReady, 'the gateway to reach Redis')
  const http = `http://127.0.0.1:${port}`
  const url = `ws://127.0.0.1:${port}`
  const sessionUrl = (session: string, name = 'agent-1') => `${url}/${name}/ws/${session}`
  const token = async (session: string, value = `token-of-${session}-${Math.random()}`) => {
    await agent.set(sessionAuth(session), value, { expiration: { type: 'EX', value: 60 } })
    return value
  }
  // The second call cuts what the first would wait for.
  const stop = async () => {
    void gateway.stop()
    await gateway.stop()
    if (given) agent.destroy()
    else await redis.stop()
  }
  let stopped: Promise<void> | undefined
  return {
    url,
    http,
    redis,
    agent,
    log,
    gateway,
    sessionUrl,
    token,
    join: async (session, options = {}) => connect(sessionUrl(session), { token: await token(session), ...options }),
    metric: async (name, labels = {}) => sample(await (await fetch(`${http}/metrics`)).text(), name, labels),
    stop: () => {
      stopped ??= stop()
      return stopped
    },
  }
}

/** A gateway that stops when the scope ends, and so does its Redis unless one was given. */
export const gatewayFor = (scope: Scope, options?: TestGatewayOptions): Promise<TestGateway> =>
  stopAtEnd(scope, startGateway(options))

/** The first sample of a Prometheus text page with this name and these labels, or 0. */
export function sample(page: string, name: string, labels: Record<string, string> = {}): number {
  const lines = page.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
  const line = lines.find((each) =>
    Object.entries(labels).every(([label, value]) => each.includes(`${label}="${value}"`)),
  )
  return line === undefined ? 0 : Number(line.slice(line.lastIndexOf(' ') + 1))
}
