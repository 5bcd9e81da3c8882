/** The JWTs of the bench, as a backend signs them. */
import { createHmac } from 'node:crypto'
import { sessionId } from './sessions.ts'

export const JWT_SECRET = 'secret-of-the-bench-with-more-than-32-bytes'

const HEAD = Buffer.from('{"alg":"HS256","typ":"JWT"}').toString('base64url')

/** Signs a token that opens one session until `exp`, in seconds since the epoch. */
export function jwtOf(session: number, exp: number): string {
  const claims = { session_id: sessionId(session), sub: `user-${session}`, jti: `token-${session}`, exp }
  const input = `${HEAD}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`
  return `${input}.${createHmac('sha256', JWT_SECRET).update(input).digest('base64url')}`
}
