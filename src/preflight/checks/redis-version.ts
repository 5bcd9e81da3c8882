import { isReply } from '../../redis/wire/errors.ts'
import type { Check } from '../check.ts'

const OLDEST = [6, 0] as const

const check: Check = {
  name: 'redis-version',
  priority: 10,
  appliesTo: 'all',
  async execute(_, signal, { redis }) {
    const infos = await redis.everyNode(['INFO', 'server'], signal).catch((error: Error) => {
      // Hosted servers rename or forbid INFO, and each words its error differently.
      if (isReply(error)) return undefined
      throw error
    })
    if (infos === undefined) return { status: 'warn', message: 'INFO is not allowed, so the version is unknown' }
    const versions = infos.map((info) => /^(?:valkey_version|redis_version):([\d.]+)/m.exec(String(info))?.[1])
    const found = [...new Set(versions.map((each) => each ?? 'unknown'))].join(', ')
    const old = versions.filter((each) => each !== undefined && isOld(each))
    const details = { versions: found }
    if (old.length === 0) return { status: 'pass', message: `version ${found}`, details }
    return {
      status: 'fail',
      message: `version ${old.join(', ')}; ${OLDEST.join('.')} is the oldest supported version`,
      details,
      remediation: 'Update Redis (or Valkey).',
    }
  },
}
export default check

function isOld(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])
}
