import { address, boolean, duration, httpUrl, integer, list, oneOf, redisUrl, size, string } from './kinds.ts'
import { liveSettings } from './live.ts'
import { preflightSettings } from './preflight.ts'

/** The table of settings: what the README prints. */

/** One entry a variable, in the order of the README's table. */
export const settings = {
  production: oneOf(['production', 'development', 'test'])('NODE_ENV', {
    default: 'development',
    description: '`production` makes a missing `REDIS_URL` an error instead of starting the embedded server.',
  }),
  listen: address('LISTEN_ADDR', {
    default: '127.0.0.1:8080',
    aliases: ['PREFLIGHT_LISTEN_ADDR'],
    description: 'Where the gateway listens (`host:port`).',
  }),
  adminPort: integer('ADMIN_PORT', {
    default: undefined,
    minimum: 1,
    maximum: 65535,
    description: 'When set, everything but the doors, `/health` and `/ready` moves to this port of the same host.',
  }),
  redisUrl: redisUrl('REDIS_URL', {
    default: undefined,
    aliases: ['PREFLIGHT_REDIS_URL'],
    secret: true,
    description:
      'Redis or Valkey 6 and later: `redis://[user:password@]host[:port][/db]`, or `rediss://`. Missing: an embedded server, outside production.',
  }),
  sentinels: list('REDIS_SENTINELS', {
    default: '',
    description: 'Sentinels as `host:port,...`; they name the server, `REDIS_URL` brings credentials and database.',
  }),
  sentinelMaster: string('REDIS_SENTINEL_MASTER', {
    default: 'mymaster',
    description: 'Name under which the Sentinels know the master.',
  }),
  sentinelPassword: string('REDIS_SENTINEL_PASSWORD', {
    default: undefined,
    secret: true,
    description: 'Password of the Sentinels themselves.',
  }),
  clusterNodes: list('REDIS_CLUSTER_NODES', {
    default: '',
    description: 'Some nodes of a Redis Cluster as `host:port,...`; `REDIS_URL` brings credentials.',
  }),
  shardedPubSub: boolean('REDIS_SHARDED_PUBSUB', {
    default: 'false',
    description: 'In a cluster: session channels by SSUBSCRIBE and SPUBLISH (Redis 7); agents must do the same.',
  }),
  canaryIntervalMs: duration('REDIS_CANARY_INTERVAL', {
    default: '2s',
    description: 'How often a message is published that must come back over the connection of user messages. 0: never.',
  }),
  canaryTimeoutMs: duration('REDIS_CANARY_TIMEOUT', {
    default: '6s',
    minimum: 100,
    description: 'How late such a message may be until that connection is replaced.',
  }),
  adminToken: string('ADMIN_TOKEN', {
    default: undefined,
    secret: true,
    description: 'Who knows it may make admin calls (at least 16 characters). Missing: nobody may.',
  }),
  logLevel: oneOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])('LOG_LEVEL', {
    default: 'info',
    aliases: ['PREFLIGHT_LOG_LEVEL'],
    description: 'Least level that is logged (JSON lines on stdout).',
  }),
  otlpEndpoint: httpUrl('OTEL_EXPORTER_OTLP_ENDPOINT', {
    default: undefined,
    secret: true,
    description: 'Traces go there (OTLP over HTTP, `/v1/traces`): a span a handshake and a client frame. Unset: none.',
  }),
  handshakeTimeoutMs: duration('HANDSHAKE_TIMEOUT', {
    default: '5s',
    minimum: 10,
    description: 'Token check and subscription together; past it the upgrade is refused with 504.',
  }),
  tokenMode: oneOf(['single-use', 'reusable'])('AUTH_TOKEN_MODE', {
    default: 'single-use',
    description: 'What a successful upgrade does to the token: remove it, or leave it until its TTL.',
  }),
  reconnectGraceMs: duration('AUTH_RECONNECT_GRACE', {
    default: '0',
    description: 'With single-use tokens: instead of removing it, shorten its life to this. 0: off.',
  }),
  allowQueryToken: boolean('AUTH_ALLOW_QUERY_TOKEN', {
    default: 'false',
    description: 'Accept `?access_token=` too. Query strings end up in the logs of proxies.',
  }),
  allowedOrigins: list('ALLOWED_ORIGINS', {
    default: '',
    aliases: ['PREFLIGHT_ALLOWED_ORIGINS'],
    description: 'Origins that may connect: full origins, hosts or `*.example.org`. Empty: any.',
  }),
  requireOrigin: boolean('REQUIRE_ORIGIN', {
    default: 'false',
    description: 'Refuse requests without an `Origin` header (command-line clients send none).',
  }),
  trustProxy: oneOf(['none', 'x-forwarded-for', 'proxy-protocol'])('TRUST_PROXY', {
    default: 'none',
    description:
      'Where the client address comes from: the connection, the last entry of `X-Forwarded-For`, or PROXY protocol v2.',
  }),
  sessionUpstream: boolean('SESSION_UPSTREAM', {
    default: 'true',
    description: 'Publish client frames to `session:<id>:up`.',
  }),
  sessionFlowSignal: boolean('SESSION_FLOW_SIGNAL', {
    default: 'false',
    description: 'Tell agents of slow clients: key `session:<id>:flow`, changes on `session:<id>:ctl`.',
  }),
  streamEndTimeoutMs: duration('STREAM_END_TIMEOUT', {
    default: '60s',
    description: 'Silence after `stream_end` until the socket is closed with 1000. 0: never.',
  }),
  sessionIdleTimeoutMs: duration('SESSION_IDLE_TIMEOUT', {
    default: '0',
    description: 'Silence in both directions until a session socket is closed with 4408. 0: never.',
  }),
  maxMessageBytes: size('MAX_MESSAGE_SIZE', {
    default: undefined,
    aliases: ['PREFLIGHT_MAX_MESSAGE_SIZE'],
    minimum: 1,
    maximum: 64 * 1024 ** 2,
    description: 'Largest client frame. Unset: sessions 1 MiB, run and live doors 64 KiB.',
  }),
  sessionRate: integer('SESSION_RATE', {
    default: '100',
    description: 'Client frames a second per session socket. 0: no limit.',
  }),
  sessionRateBurst: integer('SESSION_RATE_BURST', {
    default: '200',
    minimum: 1,
    description: 'Client frames that a session socket may send at once.',
  }),
  ...liveSettings,
  runAuth: oneOf(['none', 'bearer'])('RUN_AUTH', {
    default: 'none',
    description: 'Whether the run door asks for a token (key `run:<id>:auth`, the same rules as for sessions).',
  }),
  runPingIntervalMs: duration('RUN_PING_INTERVAL', {
    default: '30s',
    minimum: 100,
    aliases: ['PREFLIGHT_PING_INTERVAL'],
    description: 'How often a run socket gets `{"type":"ping"}`; the first one comes earlier, at a random moment.',
  }),
  runPongTimeoutMs: duration('RUN_PONG_TIMEOUT', {
    default: '65s',
    minimum: 200,
    aliases: ['PREFLIGHT_PONG_TIMEOUT'],
    description: 'Silence of a client of the run door until it is closed with 4408; only frames count.',
  }),
  runResyncIntervalMs: duration('RUN_RESYNC_INTERVAL', {
    default: '30s',
    description: 'How often a run is read without an event, for what Redis never told. 0: never.',
  }),
  runRedisMaxRetries: integer('RUN_REDIS_MAX_RETRIES', {
    default: '5',
    description: 'Failed reads of a run in a row until its sockets are closed with 1013. 0: never.',
  }),
  runChecklistModule: string('RUN_CHECKLIST_MODULE', {
    default: undefined,
    description:
      'Path of a JavaScript module whose default export is another checklist: `{key: (fields: Map) => boolean}`.',
  }),
  setKeyspaceEvents: boolean('REDIS_SET_KEYSPACE_EVENTS', {
    default: 'false',
    description:
      'Set what the run door needs in `notify-keyspace-events` instead of only reporting that it is missing.',
  }),
  metricsEnabled: boolean('METRICS_ENABLED', {
    default: 'true',
    aliases: ['PREFLIGHT_METRICS_ENABLED'],
    description: 'Serve `/metrics`.',
  }),
  maxBufferBytes: size('MAX_BUFFER_SIZE_BYTES', {
    default: '10MiB',
    minimum: 1024,
    description: 'Unsent bytes per socket; at 80 % a warning, when full the socket is closed with 1008.',
  }),
  slowCloseGraceMs: duration('SLOW_CLOSE_GRACE', {
    default: '5s',
    description: 'How long a socket that was too slow may take to read what is buffered, before it is cut.',
  }),
  pingIntervalMs: duration('PING_INTERVAL', {
    default: '25s',
    minimum: 100,
    description: 'Silence of a client until it gets a protocol ping; the first one comes earlier, at a random moment.',
  }),
  pongTimeoutMs: duration('PONG_TIMEOUT', {
    default: '50s',
    minimum: 200,
    description: 'Silence of a client until it is closed with 4408.',
  }),
  maxConnections: integer('MAX_CONNECTIONS', {
    default: '50000',
    minimum: 1,
    description: 'Sockets on this instance, all doors together.',
  }),
  maxConnectionsPerIp: integer('MAX_CONNECTIONS_PER_IP', {
    default: '0',
    description: 'Sockets from one client address. 0: no limit.',
  }),
  connectRate: integer('CONNECT_RATE', {
    default: '2000',
    description: 'Upgrades a second on this instance. 0: no limit.',
  }),
  connectRatePerIp: integer('CONNECT_RATE_PER_IP', {
    default: '50',
    description: 'Upgrades a second from one client address. 0: no limit.',
  }),
  upstreamBufferMessages: integer('UPSTREAM_BUFFER_MESSAGES', {
    default: '1000',
    description: 'Client frames held while Redis is away, all sockets together.',
  }),
  upstreamBufferBytes: size('UPSTREAM_BUFFER_BYTES', {
    default: '64MiB',
    description: 'Bytes of client frames held or awaiting confirmation by Redis, all sockets together.',
  }),
  shutdownGraceMs: duration('SHUTDOWN_GRACE_PERIOD', {
    default: '30s',
    minimum: 100,
    description: 'From SIGTERM until stragglers are cut.',
  }),
  drainWindowMs: duration('DRAIN_WINDOW', {
    default: '10s',
    description: 'Over how long the closes of a drain are spread (less when there are few sockets).',
  }),
  drainDelayMs: duration('DRAIN_DELAY', {
    default: '0',
    description: 'Pause between `/ready` turning 503 and the listener closing, for load balancers to notice.',
  }),
  ...preflightSettings,
} as const
