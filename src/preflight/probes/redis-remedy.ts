/** What an operator does about each way in which Redis does not answer; the first match counts. */
const REMEDIES: readonly (readonly [RegExp, string])[] = [
  [
    /\bWRONGPASS\b|invalid (username-password|password)/i,
    'Redis runs, and refuses this user or password. Correct both in REDIS_URL (redis://user:password@host:port).',
  ],
  [
    /\bNOAUTH\b|AUTH.*called without any password/i,
    'Redis and REDIS_URL disagree whether a password is needed: correct REDIS_URL.',
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
  [
    /certificate|self.signed|ERR_TLS|ERR_SSL|EPROTO|wrong version number|altname|TLS/i,
    'The TLS handshake failed. rediss:// needs a TLS port and a certificate that this machine trusts ' +
      '(NODE_EXTRA_CA_CERTS names a private CA); redis:// needs a port without TLS.',
  ],
  [/\bECONNREFUSED\b/, 'No program listens there. Start Redis, or correct host and port in REDIS_URL.'],
  [
    /\bETIMEDOUT\b|\bEHOSTUNREACH\b|\bENETUNREACH\b|not ready within|no answer to|not done within/,
    'The server does not answer in time. Look for a firewall, a wrong host in REDIS_URL, or an overloaded Redis.',
  ],
]

const UNKNOWN = 'redis-cli -u <REDIS_URL> PING must print PONG on this machine. Correct REDIS_URL if it does not.'

/** Returns what to do about a failure to reach Redis, from the text of its reason. */
export const redisRemedy = (reason: string): string =>
  REMEDIES.find(([pattern]) => pattern.test(reason))?.[1] ?? UNKNOWN
