import { boolean, duration, group, string } from './kinds.ts'

/** The settings of logins at the gateway. */
export const loginSettings = group('Logins', {
  authLogin: boolean('AUTH_LOGIN', {
    default: 'false',
    description:
      'Serve `/api/auth/login` and the calls beside it for the users of `wsproxy user`. Needs `AUTH_JWT_SECRET`, whose ' +
      'first secret signs. `false`: those paths answer 404.',
  }),
  authAccessTtlMs: duration('AUTH_ACCESS_TTL', {
    default: '15m',
    minimum: '1m',
    maximum: '24h',
    description: 'Life of the access token of a login.',
  }),
  authRefreshTtlMs: duration('AUTH_REFRESH_TTL', {
    default: '14d',
    minimum: '1m',
    description:
      'Life of a refresh token. Each refresh gives a new one, so a login ends when it was unused for this long.',
  }),
  defaultAdminEmail: string('DEFAULT_ADMIN_EMAIL', {
    default: undefined,
    description: 'With `AUTH_LOGIN`, the address of an admin that is made while there is no user at all. Unset: none.',
  }),
  defaultAdminPassword: string('DEFAULT_ADMIN_PASSWORD', {
    default: undefined,
    secret: true,
    description: 'Its first password, at least 16 characters in production. Change it with `wsproxy user passwd`.',
  }),
})
