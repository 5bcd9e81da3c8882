import { jwtSettings } from './jwt.ts'
import type { Setting } from './kinds.ts'
import { address, boolean, duration, group, integer, integerOrAuto, list, oneOf, size, string } from './kinds.ts'
import { liveSettings } from './live.ts'
import { livenessSettings } from './liveness.ts'
import { loginSettings } from './login.ts'
import { preflightSettings } from './preflight.ts'
import { redisSettings } from './redis.ts'
import { runSettings } from './run.ts'
import { sessionSettings } from './session.ts'
import { streamSettings } from './streams.ts'
import { telemetrySettings } from './telemetry.ts'

const serverSettings = group('Server', {
  nodeEnv: oneOf(['production', 'development', 'test'])('NODE_ENV', {
    default: 'development',
    description: 'With `production`, `REDIS_URL` must be set. Otherwise an embedded Redis server stands in for it.',
  }),
  listenAddr: address('LISTEN_ADDR', {
    default: '127.0.0.1:8080',
    description: 'Address and port of the listener (`host:port`; `:port` for all addresses).',
  }),
  port: integer('PORT', {
    default: undefined,
    maximum: '65535',
    description: 'Port of the listener on all addresses, or on `HOST`, as platforms set it. `LISTEN_ADDR` wins.',
  }),
  host: string('HOST', {
    default: undefined,
    description: 'Address of the listener: an IP address or `localhost`. A host name is ignored. `LISTEN_ADDR` wins.',
  }),
  tlsCert: string('TLS_CERT', {
    default: undefined,
    description:
      'PEM file of the certificate and its chain: the listeners then answer `https://` and `wss://` only, from ' +
      'TLS 1.2 on. Read again when it changes. Unset: TLS is left to the load balancer.',
  }),
  tlsKey: string('TLS_KEY', {
    default: undefined,
    description: 'PEM file of the private key of `TLS_CERT`, without a passphrase.',
  }),
  landingPage: boolean('LANDING_PAGE', {
    default: 'true',
    description: 'Serve the page at `/` that says what runs here. With `false` it answers 404.',
  }),
  demoAgent: boolean('DEMO_AGENT', {
    default: 'true',
    description:
      'With the embedded Redis, run an agent that answers each frame of session `demo`, so that a first client gets a reply.',
  }),
  workers: integerOrAuto('WORKERS', {
    default: '1',
    minimum: '1',
    maximum: '64',
    unit: 'processes',
    description:
      'Processes that share the port (Linux), each with a loop and Redis connections of its own. `auto`: one for each ' +
      'CPU of the quota of the cgroup, else of the machine. [Guide](../operations/workers.md).',
  }),
  adminPort: integer('ADMIN_PORT', {
    default: undefined,
    minimum: '1',
    maximum: '65535',
    description:
      'Second port, on the same host, for everything but the doors, `/health` and `/ready`. Unset: one port.',
  }),
  adminToken: string('ADMIN_TOKEN', {
    default: undefined,
    secret: true,
    description: 'Bearer token for admin endpoints, at least 16 characters. Unset: admin endpoints are disabled.',
  }),
  fleetSecret: string('FLEET_SECRET', {
    default: undefined,
    secret: true,
    description:
      'Secrets with which the instances sign their orders to each other, separated by white space: the first signs, ' +
      'each verifies. At least 32 characters in production. Unset: a key made of `ADMIN_TOKEN`.',
  }),
  trustProxy: oneOf(['none', 'x-forwarded-for', 'forwarded', 'proxy-protocol'])('TRUST_PROXY', {
    default: 'none',
    description:
      'Source of the client address: the TCP connection, an entry of `X-Forwarded-For` or `Forwarded`, or PROXY ' +
      'protocol v2 (Linux only). Limits count an IPv6 client by its /64.',
  }),
  trustProxyHops: integer('TRUST_PROXY_HOPS', {
    default: '1',
    minimum: '1',
    maximum: '32',
    unit: 'proxies',
    description: 'Proxies in front that each append an entry to the header. 1: the last entry is the client.',
  }),
  trustProxyCidr: list('TRUST_PROXY_CIDR', {
    default: '',
    description:
      'Networks of the proxies, as `10.0.0.0/8,...`. A peer outside counts by its own address. Empty: any peer is trusted.',
  }),
})

const connectSettings = group('Tokens and origins', {
  handshakeTimeoutMs: duration('HANDSHAKE_TIMEOUT', {
    default: '5s',
    minimum: '10ms',
    description: 'Time for the token check and the subscription of an upgrade. Later, it is refused with 504.',
  }),
  authTokenMode: oneOf(['single-use', 'reusable'])('AUTH_TOKEN_MODE', {
    default: 'single-use',
    description: 'Whether a successful upgrade removes the token from Redis or leaves it there until its TTL.',
  }),
  authReconnectGraceMs: duration('AUTH_RECONNECT_GRACE', {
    default: '0',
    description: 'How long a single-use token stays valid after its first use, so that a client can reconnect. 0: not.',
  }),
  authAllowQueryToken: boolean('AUTH_ALLOW_QUERY_TOKEN', {
    default: 'false',
    description: 'Accept the token as `?access_token=` too. Proxies write query strings to their logs.',
  }),
  allowedOrigins: list('ALLOWED_ORIGINS', {
    default: '',
    description:
      'Origins that may connect: `https://app.example.org`, hosts, `*.example.org`, `null`, `file://`. Empty or `*`: any.',
  }),
  requireOrigin: boolean('REQUIRE_ORIGIN', {
    default: 'false',
    description: 'Refuse upgrades without an `Origin` header. Command-line clients send none.',
  }),
})

const limitSettings = group('Limits', {
  maxConnections: integer('MAX_CONNECTIONS', {
    default: undefined,
    minimum: '1',
    unit: 'sockets',
    description:
      'Sockets on this instance, all doors together. Unset: what the limit of open files allows, at most 50,000.',
  }),
  reservedConnections: integer('RESERVED_CONNECTIONS', {
    default: undefined,
    unit: 'sockets',
    description:
      'Places of `MAX_CONNECTIONS` that doors without credentials cannot take. Unset: a tenth of `MAX_CONNECTIONS`.',
  }),
  maxConnectionsPerIp: integer('MAX_CONNECTIONS_PER_IP', {
    default: '0',
    unit: 'sockets',
    description: 'Sockets from one client address. 0: no limit.',
  }),
  connectRate: integer('CONNECT_RATE', {
    default: '2000',
    unit: 'upgrades/s',
    description: 'Upgrades per second on this instance. 0: no limit.',
  }),
  connectRatePerIp: integer('CONNECT_RATE_PER_IP', {
    default: '500',
    unit: 'upgrades/s',
    description: 'Upgrades per second from one client address; twice as many at once. 0: no limit.',
  }),
  refusedRatePerIp: integer('REFUSED_RATE_PER_IP', {
    default: '50',
    unit: 'upgrades/s',
    description:
      'Refused upgrades per second from one client address; twice as many at once. Over it, the address gets 429 ' +
      'before anything is looked at, so guesses of tokens are slow. 0: no limit.',
  }),
  refusedOpenMax: integer('REFUSED_OPEN_MAX', {
    default: '1000',
    unit: 'sockets',
    description:
      'Sockets at a time that are open only to be closed with a code (`close` in `LIVE_REFUSE`, `SESSION_REFUSE` and ' +
      '`RUN_REFUSE`). Beyond: HTTP.',
  }),
  maxMessageBytes: size('MAX_MESSAGE_SIZE', {
    default: undefined,
    minimum: '1',
    maximum: '64MiB',
    description: 'Largest client frame. Unset: 1 MiB on the session door, 64 KiB on the run and live doors.',
  }),
  jsonMaxDepth: integer('JSON_MAX_DEPTH', {
    default: '128',
    minimum: '4',
    maximum: '1000',
    unit: 'levels',
    description: 'Objects and arrays within each other, in client frames and in what agents publish to the live door.',
  }),
  maxBufferBytes: size('MAX_BUFFER_SIZE_BYTES', {
    default: '1MiB',
    minimum: '1KiB',
    description: 'Unsent bytes per socket. A warning is logged at 80 %; a socket that exceeds it is closed with 1008.',
  }),
  maxDownMessageBytes: size('MAX_DOWN_MESSAGE_BYTES', {
    default: '10MiB',
    minimum: '1KiB',
    maximum: '512MiB',
    description:
      'Largest message from Redis. A socket that has nothing waiting takes one of this size. A larger one is dropped.',
  }),
  maxBufferedBytes: size('MAX_BUFFERED_BYTES', {
    default: undefined,
    minimum: '1KiB',
    description:
      'Unsent bytes of all sockets together. Past it the largest go first, with 1008. ' +
      'Unset: 25 % of the memory of the cgroup, or of the machine.',
  }),
  upstreamBufferMessages: integer('UPSTREAM_BUFFER_MESSAGES', {
    default: '1000',
    unit: 'frames',
    description: 'Client frames held while Redis is unavailable, all sockets together.',
  }),
  upstreamBufferBytes: size('UPSTREAM_BUFFER_BYTES', {
    default: '64MiB',
    description: 'Bytes of client frames that are held or not yet confirmed by Redis, all sockets together.',
  }),
})

/** All settings. A key is the name in camel case, with the unit of a duration or size. */
export const settings = {
  ...serverSettings,
  ...redisSettings,
  ...connectSettings,
  ...jwtSettings,
  ...loginSettings,
  ...limitSettings,
  ...livenessSettings,
  ...sessionSettings,
  ...streamSettings,
  ...runSettings,
  ...liveSettings,
  ...telemetrySettings,
  ...preflightSettings,
} as const

type ValueOf<S> = S extends Setting<infer V> ? V : never

/** The values of all settings. Durations are milliseconds, sizes are bytes. */
export type Config = { readonly [K in keyof typeof settings]: ValueOf<(typeof settings)[K]> }
