/** What an operator does about each way in which Redis does not answer; the first match counts. */
const REMEDIES: readonly (readonly [RegExp, string])[] = [
  [
    /no Sentinel knows.*\b(WRONGPASS|NOAUTH|AUTH)\b/s,
    'The Sentinels refuse this user or password. Correct REDIS_SENTINEL_USERNAME and REDIS_SENTINEL_PASSWORD.',
  ],
  [
    /\bWRONGPASS\b|invalid (username-password|password)/i,
    'Redis runs, and refuses this user or password. Correct both in REDIS_URL (redis://user:password@host:port), ' +
      'or REDIS_USERNAME and REDIS_PASSWORD.',
  ],
  [
    /\bNOAUTH\b|AUTH.*called without any password/i,
    'Redis and REDIS_URL disagree whether a password is needed: correct REDIS_URL, or REDIS_PASSWORD.',
  ],
  [/\bNOPERM\b/, 'The Redis user lacks rights: give it what "wsproxy redis acl" prints.'],
  [/\bMISCONF\b/, 'Redis cannot save its data and refuses writes. Free its disk, or read its log.'],
  [/\bLOADING\b/, 'Redis loads its data. Wait until it has finished.'],
  [
    /\bmax number of clients\b/i,
    'Redis has no room for another connection: raise its maxclients, or close idle clients.',
  ],
  [
    /\bDENIED\b.*protected mode/i,
    'Redis is in protected mode and refuses other machines. Set a password there, and put it into REDIS_URL.',
  ],
  [
    /\bENOTFOUND\b|\bEAI_AGAIN\b/,
    'The host name in REDIS_URL cannot be resolved. Correct it, or mend DNS on this machine.',
  ],
  [/\bECONNREFUSED\b/, 'No program listens there. Start Redis, or correct host and port in REDIS_URL.'],
  [
    /\bETIMEDOUT\b|\bEHOSTUNREACH\b|\bENETUNREACH\b|not ready within|no answer to|not done within/,
    'The server does not answer in time. Look for a firewall, a wrong host in REDIS_URL, or an overloaded Redis.',
  ],
]

const TLS = /certificate|self.signed|ERR_TLS|ERR_SSL|EPROTO|wrong version number|altname|TLS/i
const TLS_REMEDY =
  'The TLS handshake failed. rediss:// needs a TLS port and a certificate that this machine trusts ' +
  '(REDIS_TLS_CA names a private CA); redis:// needs a port without TLS.'

const UNKNOWN = 'redis-cli -u <REDIS_URL> PING must print PONG on this machine. Correct REDIS_URL if it does not.'

/**
 * Returns what to do about a failure to reach Redis, from the text of its reason. Undefined where
 * that is unknown, and for TLS, whose reasons name their setting.
 */
export const knownRemedy = (reason: string): string | undefined =>
  TLS.test(reason) ? undefined : REMEDIES.find(([pattern]) => pattern.test(reason))?.[1]

/** As `knownRemedy`, with an answer to every reason. */
export const redisRemedy = (reason: string): string =>
  TLS.test(reason) ? TLS_REMEDY : (knownRemedy(reason) ?? UNKNOWN)
