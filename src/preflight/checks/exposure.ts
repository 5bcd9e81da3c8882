import type { Check } from '../check.ts'

const check: Check = {
  name: 'exposure',
  priority: 15,
  appliesTo: 'all',
  async execute(_, __, { gateway: { isProduction, exposure } }) {
    if (exposure === undefined) return { status: 'pass', message: 'no part is open to anybody' }
    if (!isProduction) return { status: 'pass', message: `${exposure} (as usual outside production)` }
    return {
      status: 'warn',
      message: exposure,
      remediation: 'Set what is named for each part that is not meant for strangers.',
    }
  },
}
export default check
