import { randomBytes } from 'node:crypto'
import { privateSession, sessionAuth } from '../../contract/names.ts'
import type { Check } from '../check.ts'

/** The key expires by itself if this process ends before it deletes the key. */
const TTL_MS = 10_000
const COMPARE_AND_DELETE = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return -1`

const check: Check = {
  name: 'token-store',
  priority: 10,
  appliesTo: 'all',
  async execute(_, signal, { redis }) {
    const key = sessionAuth(privateSession(randomBytes(8).toString('hex')))
    const token = randomBytes(16).toString('hex')
    await redis.command(['SET', key, token, 'PX', String(TTL_MS)], signal)
    const spent = Number(await redis.command(['EVAL', COMPARE_AND_DELETE, '1', key, token], signal))
    const left = Number(await redis.command(['EXISTS', key], signal))
    if (spent === 1 && left === 0) return { status: 'pass', message: 'a token can be stored, and is spent once' }
    return {
      status: 'fail',
      message: spent === 1 ? 'a spent token still exists' : 'a stored token is missing',
      remediation: 'Find what removes or rewrites keys of Redis (maxmemory-policy, another writer, a proxy).',
    }
  },
}
export default check
