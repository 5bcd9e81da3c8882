import type { Check } from '../check.ts'

const check: Check = {
  name: 'client-address',
  priority: 15,
  appliesTo: 'all',
  async execute(_, __, { gateway }) {
    const [proxy, ...others] = gateway.unknownProxies()
    if (proxy === undefined) return { status: 'pass', message: 'no request came through an unknown proxy' }
    const more = others.length === 0 ? '' : ` and ${others.length} more`
    return {
      status: 'warn',
      message: `requests come through the proxy at ${proxy}${more}, and TRUST_PROXY=none: limits by address do not apply to its clients`,
      details: { proxies: [proxy, ...others] },
      remediation: `Set TRUST_PROXY to the header that the proxy sets, and TRUST_PROXY_CIDR to its addresses (${proxy}).`,
    }
  },
}
export default check
