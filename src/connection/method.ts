import type { AuthMethod } from '../contract/reasons.ts'
import { isTicket } from '../platform/secrets.ts'
import type { Credentials } from './auth.ts'
import type { Admission } from './door.ts'

/** What a credential is, for the metrics. */
export function methodOf({ token, rights }: Credentials, { tokenKey, accepts }: Admission): AuthMethod {
  if (isTicket(token)) return 'ticket'
  if (rights !== undefined) return 'jwt'
  if (tokenKey !== undefined) return 'redis'
  return accepts === undefined ? 'none' : 'shared'
}
