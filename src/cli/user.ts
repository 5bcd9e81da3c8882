import { loadConfig } from '../config/load.ts'
import { ROLES, type Role, roleNamed } from '../contract/roles.ts'
import { emailOf } from '../contract/user-names.ts'
import { Passwords } from '../login/passwords.ts'
import { printable } from '../platform/printable.ts'
import { RedisUsers, type User } from '../redis/users.ts'
import { CommandFailed, Misused } from './failure.ts'
import { newPassword } from './password.ts'
import { asAgent } from './redis.ts'

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
  await withUsers(async (users) => users.remove(await found(users, email)))
  console.error(`${email} is deleted`)
}

async function change(email: string, what: Parameters<RedisUsers['change']>[1], said: string): Promise<void> {
  await withUsers(async (users) => {
    const { id } = await found(users, email)
    if (!(await users.change(id, what))) throw noUser(email)
  })
  console.error(`${email} ${said}`)
}

/** Connects to the Redis of the gateway. @throws CommandFailed when Redis refuses a command. */
const withUsers = (use: (users: RedisUsers) => Promise<void>): Promise<void> =>
  asAgent(loadConfig().config, (agent) => use(new RedisUsers((key, args) => agent.command(key, args))))

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
