import { RESERVED_FILES, socketsWithin } from '../../platform/open-files.ts'
import type { Check } from '../check.ts'

const check: Check = {
  name: 'open-files',
  priority: 15,
  appliesTo: 'all',
  async execute(_, __, { gateway }) {
    const { maxConnections } = gateway.limits
    const limit = gateway.openFiles()
    if (limit === undefined)
      return { status: 'skipped', message: 'this system does not publish its limit of open files' }
    const needed = maxConnections * gateway.filesPerSocket + RESERVED_FILES
    const details = { limit, needed, maxConnections }
    if (limit >= needed) return { status: 'pass', message: `${limit} files may be open, ${needed} are needed`, details }
    return {
      // A laptop never reaches the limit: only production counts on every socket.
      status: gateway.isProduction ? 'fail' : 'warn',
      message: `${limit} files may be open, but MAX_CONNECTIONS=${maxConnections} needs ${needed}`,
      details,
      remediation: `Raise the limit (ulimit -n ${needed}, LimitNOFILE= of systemd), or set MAX_CONNECTIONS=${socketsWithin(limit, gateway.filesPerSocket)}.`,
    }
  },
}
export default check
