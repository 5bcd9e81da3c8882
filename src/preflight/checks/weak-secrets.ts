import type { Check } from '../check.ts'

const check: Check = {
  name: 'weak-secrets',
  priority: 15,
  appliesTo: 'all',
  async execute(_, __, { gateway: { weakSecrets } }) {
    if (weakSecrets.length === 0) return { status: 'pass', message: 'no secret of logins is easy to guess' }
    return {
      status: 'warn',
      message: `easy to guess, and refused in production: ${weakSecrets.join(', ')}`,
      remediation: 'Set each to the output of openssl rand -hex 32; a user has "wsproxy user passwd".',
    }
  },
}
export default check
