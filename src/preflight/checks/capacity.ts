import type { Check, Status } from '../check.ts'

const WARN_FROM = 0.75
const FAIL_FROM = 0.9

const check: Check = {
  name: 'capacity',
  priority: 20,
  appliesTo: 'all',
  async execute(_, __, { gateway }) {
    const sockets = gateway.sockets()
    const { maxConnections } = gateway.limits
    const { usedBytes, limitBytes } = gateway.memory()
    const most = Math.max(sockets / maxConnections, usedBytes / limitBytes)
    const status: Status = most >= FAIL_FROM ? 'fail' : most >= WARN_FROM ? 'warn' : 'pass'
    const message = `${sockets} of ${maxConnections} sockets, ${mib(usedBytes)} of ${mib(limitBytes)} of memory`
    const details = { sockets, maxConnections, usedBytes, limitBytes }
    if (status === 'pass') return { status, message, details }
    return {
      status,
      message,
      details,
      remediation: 'Start another instance, or raise MAX_CONNECTIONS or the memory limit.',
    }
  },
}
export default check

const mib = (bytes: number): string => `${Math.round(bytes / 1024 ** 2)} MiB`
