import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/table.ts'
import { revokedSid } from '../contract/names.ts'
import { ROLES, type Role, roleNamed } from '../contract/roles.ts'
import { emailOf } from '../contract/user-names.ts'
import { Passwords } from '../login/passwords.ts'
import { printable } from '../platform/printable.ts'
import { LoginFamilies } from '../redis/login-families.ts'
import { RedisRevoked } from '../redis/revoked.ts'
import { RedisUsers, type User } from '../redis/users.ts'
import { CommandFailed, Misused } from './failure.ts'
import { newPassword } from './password.ts'
import { type Agent, asAgent } from './redis.ts'

const MAX_NAME = 200

interface AddOptions {
  readonly role: string
  readonly name: string
}

/** Adds a user whose password comes from a terminal or stdin, and prints its id. */
export async function addUser(address: string, options: AddOptions): Promise<void> {
  const email = emailIn(address)
  const role = roleIn(options.role)
  if (options.name.length > MAX_NAME) throw new Misused(`--name must have at most ${MAX_NAME} characters`)
  const text = await newPassword()
  const password = await (await Passwords.load()).hash(text)
  await withUsers(async (users) => {
    const user = await users.add({ email, fullName: options.name, role, password })
    if (user === undefined) throw new CommandFailed(`a user has the address ${email} already`)
    console.log(user.id)
  })
}

/** Prints one line a user. */
export async function listUsers({ json = false }: { readonly json?: boolean }): Promise<void> {
  await withUsers(async (users) => {
    for await (const { id, email, fullName, role, isActive, lastLogin } of users.all()) {
      if (json) console.log(JSON.stringify({ id, email, full_name: fullName, role, is_active: isActive, lastLogin }))
      else {
        const state = isActive ? 'active' : 'disabled'
        console.log(printable([email, role, state, lastLogin ?? 'never', fullName].join('  ').trimEnd()))
      }
    }
  })
}

/** Sets the password that a terminal or stdin gives. */
export async function setPassword(address: string): Promise<void> {
  const email = emailIn(address)
  const text = await newPassword()
  const password = await (await Passwords.load()).hash(text)
  await change(email, { password }, 'has a new password')
}

export async function setRole(address: string, name: string): Promise<void> {
  const role = roleIn(name)
  await change(emailIn(address), { role }, `has the role ${role}`)
}

export const disableUser = (address: string): Promise<void> =>
  change(emailIn(address), { isActive: false }, 'is disabled')

export const enableUser = (address: string): Promise<void> => change(emailIn(address), { isActive: true }, 'is enabled')

export async function deleteUser(address: string): Promise<void> {
  const email = emailIn(address)
  await withUsers(async (users, logins) => {
    const user = await found(users, email)
    await users.remove(user)
    await logins.endAll(user)
  })
  console.error(`${email} is deleted`)
}

/** Prints the logins of a user, or ends them. */
export async function userSessions(address: string, { end = false }: { readonly end?: boolean }): Promise<void> {
  const email = emailIn(address)
  await withUsers(async (users, logins) => {
    const user = await found(users, email)
    if (end) {
      const ended = await logins.endAll(user)
      return console.error(`ended ${ended} ${ended === 1 ? 'login' : 'logins'} of ${email}`)
    }
    for (const { sid, endsAt } of await logins.families.all(user.id))
      console.log(`${sid}  until ${new Date(endsAt).toISOString()}`)
  })
}

async function change(email: string, what: Parameters<RedisUsers['change']>[1], said: string): Promise<void> {
  await withUsers(async (users, logins) => {
    const user = await found(users, email)
    if (!(await users.change(user.id, what))) throw noUser(email)
    // A login that began with the old password, or before the user was disabled, is still open.
    if (what.password !== undefined || what.isActive === false) await logins.endAll(user)
  })
  console.error(`${email} ${said}`)
}

/** Connects to the Redis of the gateway. @throws CommandFailed when Redis refuses a command. */
const withUsers = (use: (users: RedisUsers, logins: EndedLogins) => Promise<void>): Promise<void> =>
  asAgent(loadedConfig(), (agent) =>
    use(new RedisUsers((key, args) => agent.command(key, args)), new EndedLogins(agent, loadedConfig())),
  )

const loadedConfig = (): Config => loadConfig().config

/** An access token lives for a day at most, and counts 10 minutes longer by the skew. */
const REVOKED_MS = (24 * 60 + 10) * 60_000

/** Ends logins as the gateway does: no token counts, and sockets are closed on every instance. */
class EndedLogins {
  readonly families: LoginFamilies
  readonly #revoked: RedisRevoked

  constructor(agent: Agent, config: Config) {
    const command = <T>(key: string, args: readonly string[]) => agent.command(key, args) as Promise<T>
    this.families = new LoginFamilies((key, args) => command(key, args))
    // The set of revocations sends commands and reads their replies as they are.
    this.#revoked = new RedisRevoked(
      (key, use) =>
        use({
          sendCommand: (args) => command(key, args.map(String)),
          sendAndRead: () => Promise.reject(new Error('not used')),
        }),
      config.authRevokedMax,
    )
  }

  async endAll({ id }: User): Promise<number> {
    const all = await this.families.all(id)
    for (const { sid } of all) {
      await this.#revoked.add(revokedSid(sid), REVOKED_MS)
      await this.families.end(sid, id)
    }
    return all.length
  }
}

async function found(users: RedisUsers, email: string): Promise<User> {
  const user = await users.find(email)
  if (user === undefined) throw noUser(email)
  return user
}

const noUser = (email: string) => new CommandFailed(`no user has the address ${email}; "wsproxy user list" shows all`)

function emailIn(text: string): string {
  const email = emailOf(text)
  if (email === undefined) throw new Misused(`"${text}" is not an e-mail address`)
  return email
}

function roleIn(name: string): Role {
  const role = roleNamed(name)
  if (role === undefined) throw new Misused(`"${name}" is not a role: ${ROLES.join(', ')}`)
  return role
}
