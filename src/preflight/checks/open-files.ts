import type { Check } from '../check.ts'

/** Files beside the sockets: Redis, the log, the listeners, and those of Node itself. */
const RESERVE = 64

const check: Check = {
  name: 'open-files',
  priority: 15,
  appliesTo: 'all',
  async execute(_, __, { gateway }) {
    const { maxConnections } = gateway.limits
    const limit = await gateway.openFiles()
    if (limit === undefined)
      return { status: 'skipped', message: 'this system does not publish its limit of open files' }
    const needed = maxConnections + RESERVE
    const details = { limit, needed, maxConnections }
    if (limit >= needed) return { status: 'pass', message: `${limit} files may be open, ${needed} are needed`, details }
    return {
      // A laptop never reaches the limit: only production counts on every socket.
      status: gateway.isProduction ? 'fail' : 'warn',
      message: `${limit} files may be open, but MAX_CONNECTIONS=${maxConnections} needs ${needed}`,
      details,
      remediation: `Raise the limit (ulimit -n ${needed}, LimitNOFILE= of systemd), or set MAX_CONNECTIONS=${Math.max(1, limit - RESERVE)}.`,
    }
  },
}
export default check
