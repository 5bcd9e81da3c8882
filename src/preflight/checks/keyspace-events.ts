import { missingFlags } from '../../redis/servers/keyspace.ts'
import type { Check } from '../check.ts'
import { settingsOf } from '../probes/reply.ts'

const NAME = 'notify-keyspace-events'

const check: Check = {
  name: 'keyspace-events',
  priority: 10,
  appliesTo: 'all',
  async execute(_, signal, { redis, gateway }) {
    if (!gateway.runDoor) return { status: 'pass', message: 'the run door is off (RUN_DOOR=false)' }
    const nodes = await settingsOf(redis, NAME, signal)
    if (nodes === undefined) return { status: 'warn', message: `CONFIG is not allowed, so ${NAME} is unknown` }
    const missing = [...new Set(nodes.map((flags) => missingFlags(flags)).join(''))].join('')
    const details = { flags: nodes.join(', ') }
    if (missing === '') return { status: 'pass', message: 'Redis publishes changes of runs', details }
    return {
      status: 'warn',
      message: `${NAME} lacks ${missing}: changes of runs are found only every RUN_RESYNC_INTERVAL`,
      details,
      remediation: `redis-cli CONFIG SET ${NAME} ${nodes[0]}${missing}, or REDIS_SET_KEYSPACE_EVENTS=true`,
    }
  },
}
export default check
