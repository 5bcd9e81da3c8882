import { loadConfig } from '../config/load.ts'
import { redisAddressOf } from '../config/redis-address.ts'
import { useKeyPrefix } from '../contract/names.ts'
import { aclCommand, aclRules } from '../redis/rights.ts'
import { Misused } from './failure.ts'

/**
 * Prints the command that creates the Redis user with the rights that the current settings need.
 * @throws Misused for a version other than 6 and 7, and for a user name with other characters.
 */
export function redisAcl({ redis, user }: { readonly redis: string; readonly user: string }): void {
  if (redis !== '6' && redis !== '7') throw new Misused(`--redis ${redis} is not a version: 6 or 7`)
  if (!/^[\w.-]+$/.test(user)) throw new Misused(`--user ${user} is not a name: letters, digits, _ . -`)
  const { config } = loadConfig()
  useKeyPrefix(config.redisKeyPrefix)
  const { database } = redisAddressOf(config.redisUrl ?? 'redis://localhost')
  const rules = aclRules({ ...config, database }, redis === '6' ? 6 : 7)
  console.log(aclCommand(user, 'a-password', rules))
}
