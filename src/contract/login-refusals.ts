/** The refusals of HTTP calls of users. No upgrade gets one of them. */
export const loginRefusals = {
  'bad-credentials': {
    status: '401 Unauthorized',
    message: 'The address or the password is wrong.',
    headers: { 'WWW-Authenticate': 'Bearer' },
  },
  'login-required': {
    status: '401 Unauthorized',
    message: 'This call requires the access token of a login that has not ended.',
    headers: { 'WWW-Authenticate': 'Bearer' },
  },
  'refresh-rejected': {
    status: '401 Unauthorized',
    message: 'The refresh token is wrong, used or expired: log in again.',
    headers: { 'WWW-Authenticate': 'Bearer' },
  },
  'role-required': {
    status: '403 Forbidden',
    message:
      'This call needs a larger role than this user has. An admin sets it with wsproxy user role, or the issuer in the JWT.',
  },
  'login-limited': {
    status: '429 Too Many Requests',
    message: 'Too many logins of this address or this account. Wait as long as Retry-After says.',
    retryAfter: true,
  },
} as const
