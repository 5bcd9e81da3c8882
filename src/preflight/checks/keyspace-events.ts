import { lateWithout, losesChanges, missingFlags } from '../../redis/servers/keyspace.ts'
import type { Check, Verdict } from '../check.ts'
import { settingsOf } from '../probes/reply.ts'

const NAME = 'notify-keyspace-events'

const check: Check = {
  name: 'keyspace-events',
  priority: 10,
  appliesTo: 'all',
  async execute(_, signal, { redis, gateway }) {
    if (!gateway.runDoor) return { status: 'pass', message: 'the run door is off (RUN_DOOR=false)' }
    const nodes = await settingsOf(redis, NAME, signal)
    if (nodes === undefined) return probed(await redis.keyspaceMissing(signal))
    const missing = inAny(nodes.map((flags) => missingFlags(flags)))
    const details = { flags: nodes.join(', ') }
    if (missing === '') return { status: 'pass', message: 'Redis publishes changes of runs', details }
    return {
      status: losesChanges(missing) ? 'warn' : 'pass',
      message: `${NAME} lacks ${missing}: ${lateWithout(missing)}`,
      details,
      remediation: `redis-cli CONFIG SET ${NAME} ${nodes[0]}${missing}, or REDIS_SET_KEYSPACE_EVENTS=true`,
    }
  },
}
export default check

const inAny = (missing: readonly string[]): string => [...new Set(missing.join(''))].join('')

/** CONFIG is not allowed. The gateway has written a key of its own and waited for its events. */
function probed(nodes: readonly (string | undefined)[]): Verdict {
  const known = nodes.filter((each) => each !== undefined)
  if (known.length < nodes.length)
    return {
      status: 'warn',
      message: `CONFIG is not allowed and the probe of keyspace events failed, so ${NAME} is unknown`,
      remediation: 'Give the user of Redis what "wsproxy redis acl" prints.',
    }
  const missing = inAny(known)
  if (missing === '')
    return { status: 'pass', message: 'Redis publishes changes of runs, as a probe found (evictions are not probed)' }
  return {
    status: losesChanges(missing) ? 'warn' : 'pass',
    message: `${NAME} lacks ${missing}, as a probe found: ${lateWithout(missing)}`,
    remediation: `Set ${NAME} in redis.conf (K, h, g, x and e are needed), or CONFIG SET it as a user that may.`,
  }
}
