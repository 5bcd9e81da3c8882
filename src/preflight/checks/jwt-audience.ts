import type { Check } from '../check.ts'

const check: Check = {
  name: 'jwt-audience',
  priority: 15,
  appliesTo: 'all',
  async execute(_, __, { gateway: { jwts } }) {
    if (jwts === 'off') return { status: 'skipped', message: 'no key of JWTs is configured' }
    if (jwts === 'bound') return { status: 'pass', message: 'no JWT of another program is accepted' }
    return {
      status: 'warn',
      message:
        'AUTH_JWKS_FILE or AUTH_JWKS_URL is set without AUTH_JWT_AUDIENCE: a token for another program opens what its claims name',
      remediation: 'Set AUTH_JWT_AUDIENCE to the "aud" of the tokens that are meant for this gateway.',
    }
  },
}
export default check
