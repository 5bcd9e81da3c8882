import { duration, group, httpUrl, integer, list, string } from './kinds.ts'

/** The settings of JWTs. Without a key, no token is taken for a JWT. */
export const jwtSettings = group('JWTs', {
  authJwtSecret: string('AUTH_JWT_SECRET', {
    default: undefined,
    secret: true,
    description:
      'Secrets of HS256, at least 32 bytes each, separated by white space: a token of any of them is accepted, so ' +
      'that they can be rotated. Unset: no HS256.',
  }),
  authJwksFile: string('AUTH_JWKS_FILE', {
    default: undefined,
    description:
      'JWKS file of public keys: RSA of 2048 bits or more (RS256), P-256 (ES256), Ed25519 (EdDSA). Looked at every ' +
      '5 s, and read again when it changes. Unset: none.',
  }),
  authJwksUrl: httpUrl('AUTH_JWKS_URL', {
    default: undefined,
    description:
      'JWKS of public keys over https (http only to this machine): at most 256 KiB and 50 keys, within 5 s, without ' +
      'redirects. Fetched at the start, when it is old, and when a token names a key that it lacks. Unset: none.',
  }),
  authJwksMaxAgeMs: duration('AUTH_JWKS_MAX_AGE', {
    default: '10m',
    description:
      'How old the keys of `AUTH_JWKS_URL` may be before they are fetched again. A shorter `max-age` of the answer ' +
      'counts, and nothing below 60 s.',
  }),
  authJwksCooldownMs: duration('AUTH_JWKS_COOLDOWN', {
    default: '30s',
    minimum: '1s',
    description: 'How long after a fetch for a key that was unknown another unknown key causes no fetch.',
  }),
  authJwksStaleMs: duration('AUTH_JWKS_STALE', {
    default: '24h',
    description: 'How long the keys of `AUTH_JWKS_URL` count while it does not answer.',
  }),
  authJwtAudience: list('AUTH_JWT_AUDIENCE', {
    default: '',
    description: 'A JWT must have one of these in `aud`. Empty: `aud` is not read.',
  }),
  authJwtIssuer: list('AUTH_JWT_ISSUER', {
    default: '',
    description: 'A JWT must have one of these as `iss`. Empty: `iss` is not read.',
  }),
  authJwtRoleClaim: string('AUTH_JWT_ROLE_CLAIM', {
    default: undefined,
    description:
      'Claim of a JWT that has the role of its bearer, or a list of which the largest counts: `viewer`, `operator`, ' +
      '`admin`. A JWT without one is of a `viewer`. Needs `AUTH_JWT_AUDIENCE`. Unset: no JWT has a role.',
  }),
  authJwtSkewMs: duration('AUTH_JWT_SKEW', {
    default: '30s',
    maximum: '10m',
    description:
      'How far the clock of the signer may differ, for `exp` and `nbf` of a JWT. A socket is closed so long after `exp`.',
  }),
  authJwtMaxLifetimeMs: duration('AUTH_JWT_MAX_LIFETIME', {
    default: '0',
    description:
      'How long a socket lives on one JWT, although its `exp` is later or missing. A new JWT in an `auth` frame starts ' +
      'it again. 0: until `exp`.',
  }),
  authRevokedMax: integer('AUTH_REVOKED_MAX', {
    default: '100000',
    minimum: '1',
    maximum: '1000000',
    unit: 'revocations',
    description: 'Revocations that are kept at most: each instance has all of them in memory, some 200 bytes each.',
  }),
  authRemovedKeyGraceMs: duration('AUTH_REMOVED_KEY_GRACE', {
    default: '60s',
    maximum: '1h',
    description:
      'How long a socket stays after the key of its JWT has left `AUTH_JWKS_FILE` or `AUTH_JWKS_URL`. A new JWT in an ' +
      '`auth` frame keeps it.',
  }),
  authExpiryNoticeMs: duration('AUTH_EXPIRY_NOTICE', {
    default: '60s',
    maximum: '1h',
    description: 'How long before `exp` of its JWT a session client gets `auth_expiring`. 0: it gets none.',
  }),
})

/** Whether a key is configured, and so a token may be a JWT. */
export const acceptsJwts = ({ authJwtSecret, authJwksFile, authJwksUrl }: JwtKeys): boolean =>
  [authJwtSecret, authJwksFile, authJwksUrl].some((each) => each !== undefined)

interface JwtKeys {
  readonly authJwtSecret: string | undefined
  readonly authJwksFile: string | undefined
  readonly authJwksUrl: string | undefined
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/

/** Whether the keys of this address come unchanged: over https, or from this machine. */
export function isKeySetUrl(text: string): boolean {
  const { protocol, hostname, username, password } = new URL(text)
  const isSafe = protocol === 'https:' || LOOPBACK.test(hostname)
  return isSafe && username === '' && password === ''
}
