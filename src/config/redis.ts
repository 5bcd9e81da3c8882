import { boolean, duration, group, integer, list, redisUrl, string } from './kinds.ts'

/** The settings of Redis: where it is, and what the gateway does there. */
export const redisSettings = group('Redis', {
  redisUrl: redisUrl('REDIS_URL', {
    default: undefined,
    secret: true,
    description:
      'Redis or Valkey, version 6 or later: `redis://[user:password@]host[:port][/db]`, `rediss://` for TLS, or ' +
      '`unix:/path/of/socket`. `?db=`, `?username=` and `?password=` count too; special characters are ' +
      'percent-encoded. Unset: an embedded server, except in production.',
  }),
  redisHost: string('REDIS_HOST', {
    default: undefined,
    description: 'Host of the Redis server, where `REDIS_URL` is not set.',
  }),
  redisPort: integer('REDIS_PORT', {
    default: undefined,
    minimum: '1',
    maximum: '65535',
    description: 'Port of the Redis server, where `REDIS_URL` is not set. Unset: 6379.',
  }),
  redisUsername: string('REDIS_USERNAME', {
    default: undefined,
    description: 'Redis user, where `REDIS_URL` names none.',
  }),
  redisPassword: string('REDIS_PASSWORD', {
    default: undefined,
    secret: true,
    description: 'Password of the Redis user, where `REDIS_URL` has none.',
  }),
  redisDb: integer('REDIS_DB', {
    default: undefined,
    unit: 'database',
    description: 'Number of the database, where `REDIS_URL` names none.',
  }),
  redisTls: boolean('REDIS_TLS', {
    default: 'false',
    description: 'Use TLS with `REDIS_HOST`. An address in `REDIS_URL` says it by `rediss://`.',
  }),
  redisTlsCa: string('REDIS_TLS_CA', {
    default: undefined,
    description: 'PEM file of the certificate authorities to trust for `rediss://`. Unset: those of Node.',
  }),
  redisTlsCert: string('REDIS_TLS_CERT', {
    default: undefined,
    description: 'PEM file of the certificate that the gateway shows to Redis, with `REDIS_TLS_KEY`.',
  }),
  redisTlsKey: string('REDIS_TLS_KEY', {
    default: undefined,
    description: 'PEM file of the private key of `REDIS_TLS_CERT`. All three files are read at each connect.',
  }),
  redisTlsServername: string('REDIS_TLS_SERVERNAME', {
    default: undefined,
    description: 'Name in the certificate of Redis, where it is not the host of its address.',
  }),
  redisSentinels: list('REDIS_SENTINELS', {
    default: '',
    description:
      'Sentinels that name the server, as `host:port,...` or URLs (`rediss://` for TLS) without a login. Credentials ' +
      'and database of the server come from `REDIS_URL`.',
  }),
  redisSentinelMaster: string('REDIS_SENTINEL_MASTER', {
    default: 'mymaster',
    description: 'Name of the master in the configuration of the Sentinels.',
  }),
  redisSentinelUsername: string('REDIS_SENTINEL_USERNAME', {
    default: undefined,
    description: 'User at the Sentinels themselves, where they have ACLs.',
  }),
  redisSentinelTls: boolean('REDIS_SENTINEL_TLS', {
    default: 'false',
    description: 'Use TLS to the Sentinels, with the same files as to Redis.',
  }),
  redisSentinelPassword: string('REDIS_SENTINEL_PASSWORD', {
    default: undefined,
    secret: true,
    description: 'Password of the Sentinels themselves.',
  }),
  redisClusterNodes: list('REDIS_CLUSTER_NODES', {
    default: '',
    description:
      'Some nodes of a Redis Cluster, as `host:port,...` or URLs (`rediss://` for TLS) without a login. Credentials ' +
      'come from `REDIS_URL`.',
  }),
  redisAddressMap: list('REDIS_ADDRESS_MAP', {
    default: '',
    description:
      'Where to reach servers whose own address does not lead to them, behind NAT for instance, as ' +
      '`announced=reachable,...`: `10.0.0.5:6379=nat.example.org:7001`, or `10.0.0.5=nat.example.org` for all ports. ' +
      'Counts for what a cluster or a Sentinel announces.',
  }),
  redisKeyPrefix: string('REDIS_KEY_PREFIX', {
    default: '',
    description:
      'Text before every key and channel of the gateway, as `staging:`: two environments on one Redis do not hear ' +
      'each other. 1 to 32 of `[A-Za-z0-9_.-]` and a colon.',
  }),
  redisShardedPubsub: boolean('REDIS_SHARDED_PUBSUB', {
    default: 'false',
    description: 'In a cluster (Redis 7): use SSUBSCRIBE and SPUBLISH for session channels. Agents must do the same.',
  }),
  redisCanaryIntervalMs: duration('REDIS_CANARY_INTERVAL', {
    default: '2s',
    description:
      'How often the gateway publishes a canary message that must come back over its subscriber connection. 0: never.',
  }),
  redisCanaryTimeoutMs: duration('REDIS_CANARY_TIMEOUT', {
    default: '6s',
    minimum: '100ms',
    description: 'How late a canary message may be before the subscriber connection is replaced.',
  }),
  redisSetKeyspaceEvents: boolean('REDIS_SET_KEYSPACE_EVENTS', {
    default: 'false',
    description:
      'Add the events that the run door needs to `notify-keyspace-events`. With `false`, missing ones are only logged.',
  }),
})
