import { createHash } from 'node:crypto'
import { failuresOfAccount, loginsOfAddress } from '../contract/user-names.ts'
import { Script } from './script.ts'
import type { AtKey } from './users.ts'

const MAX_OF_ADDRESS = 20
const ADDRESS_MS = 60_000
const MAX_FAILURES = 5
const FAILURES_MS = 15 * 60_000

/**
 * ARGV[1] is `begin` (counts a login of the address), `failed` (counts a failure of the account) or
 * `done` (forgets its failures). Returns the ms that the address and the account have to wait.
 */
const COUNT = new Script(`
local function over(key, count, most) if count <= most then return 0 end return redis.call('PTTL', key) end
local function count(key, ms)
  local number = redis.call('INCR', key)
  if number == 1 then redis.call('PEXPIRE', key, ms) end
  return number
end
local address, account = 0, 0
if ARGV[1] == 'done' then redis.call('DEL', KEYS[2]) end
if ARGV[1] == 'begin' and ARGV[2] == '1' then address = over(KEYS[1], count(KEYS[1], '${ADDRESS_MS}'), ${MAX_OF_ADDRESS}) end
if ARGV[1] == 'failed' then account = over(KEYS[2], count(KEYS[2], '${FAILURES_MS}'), ${MAX_FAILURES}) end
if ARGV[1] == 'begin' then account = over(KEYS[2], 1 + tonumber(redis.call('GET', KEYS[2]) or 0), ${MAX_FAILURES}) end
return {address, account}`)

/** How long an address and an account have to wait, in ms. 0: not at all. */
interface Wait {
  readonly addressMs: number
  readonly accountMs: number
}

/** Counts logins by client address, and wrong passwords by account, for all instances together. */
export class LoginLimits {
  readonly #at: AtKey

  constructor(at: AtKey) {
    this.#at = at
  }

  /**
   * @param account an e-mail address, with the id of a device where that is counted apart.
   * @param counted whether the address stands for one client.
   */
  begin(account: string, network: string, counted: boolean): Promise<Wait> {
    return this.#run('begin', account, network, counted)
  }

  failed(account: string): Promise<Wait> {
    return this.#run('failed', account)
  }

  async done(account: string): Promise<void> {
    await this.#run('done', account)
  }

  async #run(verb: 'begin' | 'failed' | 'done', account: string, network = '', counted = false): Promise<Wait> {
    const failures = failuresOfAccount(createHash('sha256').update(account).digest('hex'))
    const keys = [loginsOfAddress(network), failures]
    const reply = await COUNT.run((command) => this.#at(failures, command), keys, [verb, counted ? '1' : '0'])
    const [addressMs, accountMs] = (reply as unknown[]).map(Number)
    return { addressMs: addressMs!, accountMs: accountMs! }
  }
}
