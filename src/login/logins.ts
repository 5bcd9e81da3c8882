import { type Refusal, refusals } from '../contract/codes.ts'
import type { LoginResult } from '../contract/reasons.ts'
import { emailOf } from '../contract/user-names.ts'
import type { ClientAddress } from '../http/client-address.ts'
import type { Access, AccessTokens } from '../identity/access.ts'
import { networkOf } from '../platform/address.ts'
import type { LoginFamilies } from '../redis/login-families.ts'
import type { LoginLimits } from '../redis/login-limits.ts'
import type { RedisUsers, User } from '../redis/users.ts'
import type { Logger } from '../telemetry/log.ts'
import { LineSampler } from '../telemetry/sampler.ts'
import type { Devices } from './devices.ts'
import { OverLimit } from './over-limit.ts'
import { isOutdated, type Passwords } from './passwords.ts'
import { hashOf, newestFrom, newRefreshToken, readRefreshToken, successorOf } from './refresh-tokens.ts'

/** Tabs of a browser that refresh within this time get the same token. */
const GRACE_MS = 10_000

export interface LoginsParts {
  readonly access: AccessTokens
  readonly passwords: Passwords
  /** Each makes the successor of a refresh token; the first makes new ones. */
  readonly refreshKeys: readonly Buffer[]
  readonly refreshTtlMs: number
  readonly users: RedisUsers
  readonly families: LoginFamilies
  readonly limits: LoginLimits
  readonly devices: Devices
  /** Revokes the access tokens of a login, and closes its sockets on every instance. */
  readonly revoke: (sid: string) => Promise<void>
  /** Whether an access token was revoked. */
  readonly isRevoked: (access: Access) => Promise<boolean>
  readonly count: (result: LoginResult) => void
  readonly log: Logger
  /** ms since the epoch. */
  readonly now: () => number
}

/** What a login or a refresh gives. */
export interface Tokens {
  readonly user: User
  readonly access: string
  readonly refresh: string
  /** The device from which the user has logged in, where only the account bounds guesses. */
  readonly device?: string
}

/**
 * The logins of users. Every method that returns a refusal has counted and logged it. @throws
 * RedisUnavailable.
 */
export class Logins {
  readonly #parts: LoginsParts
  readonly #lines = new LineSampler()
  readonly #over = new OverLimit()

  constructor(parts: LoginsParts) {
    this.#parts = parts
  }

  /** Lives of the tokens in seconds. */
  get livesS(): { readonly accessS: number; readonly refreshS: number } {
    const { access, refreshTtlMs } = this.#parts
    return { accessS: access.ttlS, refreshS: Math.floor(refreshTtlMs / 1000) }
  }

  /** Returns why a login is refused without reading it. Undefined: it is to be read. */
  refusalAtOnce(client: ClientAddress): Refusal | undefined {
    const waitMs = client.isClient ? this.#over.waitMs(networkOf(client.ip)) : 0
    if (waitMs > 0) return this.#refuse('limited', limited(waitMs), client)
    return this.#parts.passwords.isFull ? this.#busy(client) : undefined
  }

  /** @param device the text that a login from this device has given. */
  async login(address: string, password: string, client: ClientAddress, device?: string): Promise<Tokens | Refusal> {
    const login = this.#parts.passwords.inPlace(() => this.#login(address, password, client, device))
    return login ?? this.#busy(client)
  }

  #busy(client: ClientAddress): Refusal {
    return this.#refuse('busy', { ...refusals['at-capacity'], message: 'Too many logins wait.' }, client)
  }

  async #login(
    address: string,
    password: string,
    client: ClientAddress,
    device: string | undefined,
  ): Promise<Tokens | Refusal> {
    const { users, passwords, limits, devices } = this.#parts
    const email = emailOf(address) ?? ''
    const known = client.isClient ? undefined : devices.idOf(device, email)
    const account = known === undefined ? email : `${email} ${known}`
    const network = networkOf(client.ip)
    const { addressMs, accountMs } = await limits.begin(account, network, client.isClient)
    if (client.isClient && addressMs > 0) this.#over.add(network, addressMs)
    // Where all clients share an address, the account alone bounds guesses.
    const waitMs = client.isClient ? addressMs : accountMs
    if (waitMs > 0) return this.#refuse('limited', limited(waitMs), client)
    const user = await users.find(email)
    const isRight = await passwords.matches(user?.password, password)
    if (user === undefined || !isRight || !user.isActive) {
      const failed = await limits.failed(account)
      const isOver = failed.accountMs > 0
      return isOver
        ? this.#refuse('limited', limited(failed.accountMs), client)
        : this.#refuse('rejected', refusals['bad-credentials'], client)
    }
    await limits.done(account)
    const tokens = await this.#begin(user, password, client)
    return client.isClient ? tokens : { ...tokens, device: devices.issue(email) }
  }

  async #begin(user: User, password: string, client: ClientAddress): Promise<Tokens> {
    const { users, passwords, families, refreshTtlMs, now } = this.#parts
    const { token, sid } = newRefreshToken()
    const at = now()
    await families.begin(sid, user.id, hashOf(token), at, refreshTtlMs)
    const lastLogin = new Date(at).toISOString()
    const renewed = isOutdated(user.password) ? { password: await passwords.hash(password) } : {}
    await users.change(user.id, { lastLogin, ...renewed })
    this.#done('accepted', { user: user.id, sid, address: client.ip }, 'a user has logged in')
    return this.#tokens({ ...user, lastLogin }, sid, token)
  }

  async refresh(text: string, client: ClientAddress): Promise<Tokens | Refusal> {
    const { families, users, refreshKeys, refreshTtlMs: lifeMs, now } = this.#parts
    const rejected = () => this.#refuse('refresh_rejected', refusals['refresh-rejected'], client)
    const given = readRefreshToken(text)
    if (given === undefined) return rejected()
    const { token, sid } = given
    const successor = successorOf(token, refreshKeys[0]!)
    const times = { now: now(), graceMs: GRACE_MS, lifeMs }
    const rotation = await families.rotate(sid, { used: hashOf(token), next: hashOf(successor), ...times })
    if (rotation.result === 'unknown') return rejected()
    const user = await users.read(rotation.user)
    if (rotation.result === 'reused' || user === undefined || !user.isActive) {
      await this.#end(sid, rotation.user)
      const isCopy = rotation.result === 'reused'
      return isCopy ? this.#refuse('reused', refusals['refresh-rejected'], client, rotation.user) : rejected()
    }
    const newest = rotation.result === 'rotated' ? successor : newestFrom(token, refreshKeys, rotation.current)
    if (newest === undefined) return rejected()
    this.#parts.count('refreshed')
    return this.#tokens(user, sid, newest)
  }

  async logout({ sid, subject }: Access): Promise<void> {
    await this.#end(sid, subject)
    this.#done('logout', { user: subject, sid }, 'a user has logged out')
  }

  /** Returns the user of a token that is valid now. Undefined: the token counts no more. */
  async userOf({ subject }: Access): Promise<User | undefined> {
    const user = await this.#parts.users.read(subject)
    return user?.isActive === true ? user : undefined
  }

  /** Returns who a bearer token stands for. Undefined: it is no token of a login that is valid. */
  async authenticate(bearer: string | undefined): Promise<Access | undefined> {
    const { access, isRevoked, now } = this.#parts
    const verified = bearer === undefined ? undefined : access.verify(bearer, now())
    if (verified === undefined || 'fault' in verified) return undefined
    return (await isRevoked(verified)) ? undefined : verified
  }

  async #end(sid: string, user: string): Promise<void> {
    const { families, revoke } = this.#parts
    await Promise.all([families.end(sid, user), revoke(sid)])
  }

  #tokens(user: User, sid: string, refresh: string): Tokens {
    const { access, now } = this.#parts
    return { user, access: access.sign(user.id, user.role, sid, now()), refresh }
  }

  #done(result: LoginResult, fields: object, message: string): void {
    this.#parts.count(result)
    this.#parts.log.info({ event: 'login', result, ...fields }, message)
  }

  /** The address that was typed is not logged: it may be a password. */
  #refuse(result: LoginResult, refusal: Refusal, { ip }: ClientAddress, user?: string): Refusal {
    const { count, log } = this.#parts
    count(result)
    const skipped = this.#lines.take(result)
    if (skipped !== undefined)
      log.warn({ event: 'login-refused', result, address: ip, user, skipped }, 'a login or a refresh was refused')
    return refusal
  }
}

function limited(waitMs: number): Refusal {
  const seconds = String(Math.max(1, Math.ceil(waitMs / 1000)))
  return { ...refusals['login-limited'], retryAfter: false, headers: { 'Retry-After': seconds } }
}
