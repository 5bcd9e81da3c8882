import { isKeyPrefix, isOwnSegment, isRunId, isTopicRule } from '../contract/names.ts'
import { roleNamed } from '../contract/roles.ts'
import { emailOf } from '../contract/user-names.ts'
import { acceptsJwts, isKeySetUrl } from './jwt.ts'
import { isNetwork } from './networks.ts'
import { isOriginEntry } from './origins.ts'
import { parseRedisAddress } from './redis-address.ts'
import { mappingProblems, refusesTls, serverProblems } from './redis-servers.ts'
import { isShortList, shortSecret, weakness, weakTokens } from './strength.ts'
import type { Config } from './table.ts'

/** What settings must fulfil beyond their kind, mostly in relation to each other. */
interface ConsistencyRule {
  readonly uses: readonly (keyof Config)[]
  /** One line a problem. */
  readonly problems: (config: Config) => readonly string[]
}

/** `problems` returns false, the line, or several; it reads only the settings that `uses` names. */
function rule<const K extends keyof Config>(
  uses: readonly K[],
  problems: (config: Pick<Config, K>) => false | string | readonly string[],
): ConsistencyRule {
  return { uses, problems: (config) => [problems(config) || []].flat() }
}

/** Two settings of which one without the other is a problem. */
const together = (key: keyof Config, name: string, otherKey: keyof Config, other: string, why: string) =>
  rule([key, otherKey], (config) => {
    const [isUnset, isOtherUnset] = [config[key] === undefined, config[otherKey] === undefined]
    return isUnset !== isOtherUnset && `${isUnset ? name : other}: must be set too; ${why}`
  })

/** A line for each entry of a list that `valid` rejects. */
const invalidEntries = (
  name: string,
  entries: readonly string[] | undefined,
  valid: (entry: string) => boolean,
  problem: string,
): string[] =>
  (entries ?? []).filter((entry) => !valid(entry)).map((entry) => `${name}: ${JSON.stringify(entry)} ${problem}`)

const NO_ORIGIN = 'matches no origin; use https://app.example.org, a host, *.example.org, null, file:// or *'
const NO_TOPIC = 'is not a topic: 1 to 64 of [a-z0-9_.-], with a * at the end for all names with that prefix'
const NO_NETWORK = 'is not a network; use 10.0.0.0/8, 2001:db8::/32 or an address'

function isTopicRole(entry: string): boolean {
  const [topic = '', role = '', ...more] = entry.split(':')
  return more.length === 0 && isTopicRule(topic) && roleNamed(role) !== undefined
}

const METRIC_ALIASES = ['preflight2', 'preflight', 'leanvibe', 'tumulte', 'processor']
const isMetricAlias = (entry: string): boolean => METRIC_ALIASES.includes(entry)

/** The address of REDIS_URL; undefined where it is not set or not valid. */
function addressOf(redisUrl: string | undefined) {
  const parsed = parseRedisAddress(redisUrl ?? '')
  return 'address' in parsed ? parsed.address : undefined
}

function isPlainHttpUrl(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined
  return url !== undefined && /^https?:$/.test(url.protocol) && url.username === '' && url.password === ''
}

const RULES: readonly ConsistencyRule[] = [
  rule(
    ['nodeEnv', 'redisUrl', 'redisSentinels', 'redisClusterNodes'],
    ({ nodeEnv, redisUrl, redisSentinels, redisClusterNodes }) =>
      nodeEnv === 'production' &&
      redisUrl === undefined &&
      redisSentinels.length + redisClusterNodes.length === 0 &&
      'REDIS_URL: must be set when NODE_ENV=production (the embedded server is for development)',
  ),
  rule(
    ['authReconnectGraceMs', 'authTokenMode'],
    ({ authReconnectGraceMs, authTokenMode }) =>
      authReconnectGraceMs > 0 &&
      authTokenMode === 'reusable' &&
      'AUTH_RECONNECT_GRACE: has no effect with AUTH_TOKEN_MODE=reusable; unset one of them',
  ),
  rule(
    ['redisSentinels', 'redisClusterNodes'],
    ({ redisSentinels, redisClusterNodes }) =>
      redisSentinels.length > 0 &&
      redisClusterNodes.length > 0 &&
      'REDIS_SENTINELS: cannot be combined with REDIS_CLUSTER_NODES',
  ),
  rule(
    ['redisShardedPubsub', 'redisClusterNodes'],
    ({ redisShardedPubsub, redisClusterNodes }) =>
      redisShardedPubsub && redisClusterNodes.length === 0 && 'REDIS_SHARDED_PUBSUB: needs REDIS_CLUSTER_NODES',
  ),
  rule(
    ['redisClusterNodes', 'redisUrl'],
    ({ redisClusterNodes, redisUrl }) =>
      redisClusterNodes.length > 0 &&
      (addressOf(redisUrl)?.database ?? 0) !== 0 &&
      'REDIS_URL: must name database 0 or none with REDIS_CLUSTER_NODES; a cluster has no other',
  ),
  rule(
    ['redisClusterNodes', 'redisUrl'],
    ({ redisClusterNodes, redisUrl }) =>
      addressOf(redisUrl)?.tls === true &&
      refusesTls('REDIS_CLUSTER_NODES', redisClusterNodes) &&
      'REDIS_CLUSTER_NODES: an entry is redis://, but REDIS_URL says rediss://; use one of them for both',
  ),
  rule(
    ['workers', 'trustProxy'],
    ({ workers, trustProxy }) =>
      workers !== 1 &&
      trustProxy === 'proxy-protocol' &&
      'WORKERS: must be 1 with TRUST_PROXY=proxy-protocol, whose listener cannot share its port',
  ),
  rule(['redisSentinels'], ({ redisSentinels }) => serverProblems('REDIS_SENTINELS', redisSentinels)),
  rule(['redisClusterNodes'], ({ redisClusterNodes }) => serverProblems('REDIS_CLUSTER_NODES', redisClusterNodes)),
  rule(['redisAddressMap'], ({ redisAddressMap }) => mappingProblems(redisAddressMap)),
  rule(
    ['redisAddressMap', 'redisSentinels', 'redisClusterNodes'],
    ({ redisAddressMap, redisSentinels, redisClusterNodes }) =>
      redisAddressMap.length > 0 &&
      redisSentinels.length + redisClusterNodes.length === 0 &&
      'REDIS_ADDRESS_MAP: needs REDIS_SENTINELS or REDIS_CLUSTER_NODES; REDIS_URL is dialled as it stands',
  ),
  rule(['trustProxyCidr'], ({ trustProxyCidr }) =>
    invalidEntries('TRUST_PROXY_CIDR', trustProxyCidr, isNetwork, NO_NETWORK),
  ),
  rule(
    ['redisKeyPrefix'],
    ({ redisKeyPrefix }) =>
      !isKeyPrefix(redisKeyPrefix) &&
      `REDIS_KEY_PREFIX: ${JSON.stringify(redisKeyPrefix)} must be 1 to 32 of [A-Za-z0-9_.-] and a colon, as staging:, and no first part of our own names (session:, run:, live:, ...)`,
  ),
  rule(
    ['runKeyPrefix'],
    ({ runKeyPrefix }) =>
      runKeyPrefix !== '' &&
      !isRunId(runKeyPrefix) &&
      `RUN_KEY_PREFIX: ${JSON.stringify(runKeyPrefix)} must be 1 to 200 of [A-Za-z0-9_.~@=+;-]`,
  ),
  rule(['metricsAliases'], ({ metricsAliases }) =>
    invalidEntries('METRICS_ALIASES', metricsAliases, isMetricAlias, `is not one of ${METRIC_ALIASES.join(', ')}`),
  ),
  rule(
    ['runPath'],
    ({ runPath }) =>
      (!/^\/([A-Za-z0-9_.-]+\/)?$/.test(runPath) || isOwnSegment(runPath.slice(1, -1))) &&
      `RUN_PATH: ${JSON.stringify(runPath)} must be / or one segment such as /runs/, and no path of the gateway`,
  ),
  rule(
    ['livePath'],
    ({ livePath }) =>
      livePath !== '/live' &&
      (!/^\/([A-Za-z0-9_.-]+)?$/.test(livePath) || isOwnSegment(livePath.slice(1))) &&
      `LIVE_PATH: ${JSON.stringify(livePath)} must be / or one segment such as /live, and no other path of the gateway`,
  ),
  rule(
    ['adminToken'],
    ({ adminToken }) =>
      adminToken !== undefined &&
      !/^[\x21-\x7e]{16,}$/.test(adminToken) &&
      'ADMIN_TOKEN: must be at least 16 visible ASCII characters',
  ),
  rule(
    ['authJwtSecret'],
    ({ authJwtSecret }) =>
      shortSecret(authJwtSecret) !== undefined &&
      `AUTH_JWT_SECRET: each secret must have at least 32 bytes (one has ${Buffer.byteLength(shortSecret(authJwtSecret)!)}); use openssl rand -hex 32`,
  ),
  rule(
    ['authJwksUrl'],
    ({ authJwksUrl }) =>
      // The address is not repeated: it may hold a password.
      authJwksUrl !== undefined &&
      !isKeySetUrl(authJwksUrl) &&
      'AUTH_JWKS_URL: must be an https:// address without credentials (http:// only to this machine)',
  ),
  rule(
    ['authJwtRoleClaim', 'authJwtAudience'],
    ({ authJwtRoleClaim, authJwtAudience }) =>
      authJwtRoleClaim !== undefined && authJwtAudience.length === 0 && 'AUTH_JWT_ROLE_CLAIM: needs AUTH_JWT_AUDIENCE',
  ),
  rule(
    ['authLogin', 'authJwtSecret'],
    ({ authLogin, authJwtSecret }) =>
      authLogin && authJwtSecret === undefined && 'AUTH_LOGIN: needs AUTH_JWT_SECRET, which signs the tokens of logins',
  ),
  together(
    'defaultAdminEmail',
    'DEFAULT_ADMIN_EMAIL',
    'defaultAdminPassword',
    'DEFAULT_ADMIN_PASSWORD',
    'the first user needs both',
  ),
  rule(
    ['defaultAdminEmail'],
    ({ defaultAdminEmail }) =>
      defaultAdminEmail !== undefined &&
      emailOf(defaultAdminEmail) === undefined &&
      `DEFAULT_ADMIN_EMAIL: ${JSON.stringify(defaultAdminEmail)} is not an e-mail address`,
  ),
  rule(['defaultAdminPassword', 'nodeEnv'], ({ defaultAdminPassword: password, nodeEnv }) => {
    if (password === undefined) return false
    if ([...password].length < 8) return 'DEFAULT_ADMIN_PASSWORD: must have at least 8 characters'
    const problem = nodeEnv === 'production' ? weakness(password) : undefined
    return problem !== undefined && `DEFAULT_ADMIN_PASSWORD: ${problem} when NODE_ENV=production`
  }),
  rule(
    ['nodeEnv', 'fleetSecret'],
    ({ nodeEnv, fleetSecret }) =>
      nodeEnv === 'production' &&
      isShortList(fleetSecret) &&
      'FLEET_SECRET: each secret must have at least 32 characters when NODE_ENV=production',
  ),
  rule(
    ['nodeEnv', 'adminToken', 'wsAuthToken', 'fleetSecret', 'authJwtSecret'],
    ({ nodeEnv, adminToken, wsAuthToken, fleetSecret, authJwtSecret }) =>
      nodeEnv === 'production' &&
      weakTokens({
        ADMIN_TOKEN: adminToken,
        WS_AUTH_TOKEN: wsAuthToken,
        // The rules above have reported a short one.
        FLEET_SECRET: isShortList(fleetSecret) ? undefined : fleetSecret,
        AUTH_JWT_SECRET: shortSecret(authJwtSecret) === undefined ? authJwtSecret : undefined,
      }),
  ),
  rule(
    ['pongTimeoutMs', 'pingIntervalMs'],
    ({ pongTimeoutMs, pingIntervalMs }) =>
      pongTimeoutMs <= pingIntervalMs && 'PONG_TIMEOUT: must be longer than PING_INTERVAL',
  ),
  rule(
    ['runPongTimeoutMs', 'runPingIntervalMs'],
    ({ runPongTimeoutMs, runPingIntervalMs }) =>
      runPongTimeoutMs <= runPingIntervalMs && 'RUN_PONG_TIMEOUT: must be longer than RUN_PING_INTERVAL',
  ),
  rule(
    ['drainDelayMs', 'shutdownGracePeriodMs'],
    ({ drainDelayMs, shutdownGracePeriodMs }) =>
      drainDelayMs >= shutdownGracePeriodMs && 'DRAIN_DELAY: must be shorter than SHUTDOWN_GRACE_PERIOD',
  ),
  rule(
    ['adminPort', 'listenAddr'],
    ({ adminPort, listenAddr }) =>
      adminPort === listenAddr.port && 'ADMIN_PORT: must differ from the port of LISTEN_ADDR',
  ),
  rule(
    ['preflightHttpDependencies'],
    ({ preflightHttpDependencies }) =>
      // The addresses are not repeated: the problem may be that one holds a password.
      !preflightHttpDependencies.every(isPlainHttpUrl) &&
      'PREFLIGHT_HTTP_DEPENDENCIES: must be http:// or https:// addresses without credentials',
  ),
  rule(['allowedOrigins'], ({ allowedOrigins }) =>
    invalidEntries('ALLOWED_ORIGINS', allowedOrigins, isOriginEntry, NO_ORIGIN),
  ),
  rule(['wsAllowedOrigins'], ({ wsAllowedOrigins }) =>
    invalidEntries('WS_ALLOWED_ORIGINS', wsAllowedOrigins, isOriginEntry, NO_ORIGIN),
  ),
  rule(['outboxTopics'], ({ outboxTopics }) => invalidEntries('OUTBOX_TOPICS', outboxTopics, isTopicRule, NO_TOPIC)),
  rule(['liveTopicRoles'], ({ liveTopicRoles }) =>
    invalidEntries('LIVE_TOPIC_ROLES', liveTopicRoles, isTopicRole, 'is not topic:role, as alerts:operator'),
  ),
  rule(
    ['liveTopicRoles', 'wsAuthRequired'],
    ({ liveTopicRoles, wsAuthRequired }) =>
      liveTopicRoles.length > 0 && !wsAuthRequired && 'LIVE_TOPIC_ROLES: needs WS_AUTH_REQUIRED=true',
  ),
  rule(['liveTopics'], ({ liveTopics }) => invalidEntries('LIVE_TOPICS', liveTopics, isTopicRule, NO_TOPIC)),
  rule(['liveLast'], ({ liveLast }) => invalidEntries('LIVE_LAST', liveLast, isTopicRule, NO_TOPIC)),
  together('tlsCert', 'TLS_CERT', 'tlsKey', 'TLS_KEY', 'TLS needs both TLS_CERT and TLS_KEY'),
  together('redisTlsCert', 'REDIS_TLS_CERT', 'redisTlsKey', 'REDIS_TLS_KEY', 'a client certificate needs its key'),
  rule(
    ['tlsCert', 'trustProxy'],
    ({ tlsCert, trustProxy }) =>
      tlsCert !== undefined &&
      trustProxy === 'proxy-protocol' &&
      'TRUST_PROXY: proxy-protocol cannot be combined with TLS_CERT: the balancer sends its header before the TLS handshake',
  ),
  rule(
    ['wsAuthRequired', 'wsAuthToken', 'authJwtSecret', 'authJwksFile', 'authJwksUrl'],
    ({ wsAuthRequired, wsAuthToken, ...keys }) =>
      wsAuthRequired &&
      wsAuthToken === undefined &&
      !acceptsJwts(keys) &&
      'WS_AUTH_TOKEN: must be set with WS_AUTH_REQUIRED=true, or a key of JWTs (AUTH_JWT_SECRET, AUTH_JWKS_FILE, AUTH_JWKS_URL)',
  ),
]

/**
 * The problems of settings whose values are each valid, one line a problem.
 * @param invalid settings that are reported already; rules that use one of them are skipped.
 */
export function problemsBetween(config: Config, invalid: ReadonlySet<string>): string[] {
  return RULES.filter(({ uses }) => !uses.some((key) => invalid.has(key))).flatMap(({ problems }) => problems(config))
}
