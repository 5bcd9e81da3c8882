import { redisAddressOf } from './redis-address.ts'
import { findTexts } from './sources.ts'
import { settings } from './table.ts'

/** A user of Redis and its password. */
export interface Login {
  readonly username: string | undefined
  readonly password: string | undefined
}

/**
 * Logins whose files count anew at each connect, as passwords that live for an hour need it. Each
 * returns undefined where no file holds a part of the login, or the file cannot be read now.
 */
export interface FreshLogins {
  redis(): Login | undefined
  sentinel(): Login | undefined
  /** Why the last call could not read a file, with the name of its setting. */
  readonly problem: string | undefined
}

/** A login of settings, of which some may come from files. */
const REDIS = ['REDIS_URL']
const SENTINEL = ['REDIS_SENTINEL_USERNAME', 'REDIS_SENTINEL_PASSWORD']

/** Returns the logins as the files that `env` names hold them at the time of each call. */
export function freshLogins(env: NodeJS.ProcessEnv): FreshLogins {
  // An environment that a caller changes later must not change who this gateway is.
  const own = { ...env }
  const hasFile = Object.keys(own).some((name) => name.endsWith('_FILE') && own[name])
  let problem: string | undefined
  const read = (names: readonly string[]) => {
    if (!hasFile) return undefined
    const { given, from, problems } = findTexts(own, Object.values(settings))
    problem = problems.find((each) => /^\w+_FILE:/.test(each))
    return problems.length === 0 && names.some((name) => from[name]?.includes('_FILE')) ? given : undefined
  }
  return {
    get problem() {
      return problem
    },
    redis() {
      const { REDIS_URL: url } = read(REDIS) ?? {}
      return url === undefined ? undefined : redisAddressOf(url)
    },
    sentinel() {
      const given = read(SENTINEL)
      return given && { username: given.REDIS_SENTINEL_USERNAME, password: given.REDIS_SENTINEL_PASSWORD }
    },
  }
}
