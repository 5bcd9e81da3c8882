import type { RedisAddress } from '../../config/redis-address.ts'
import { ErrorReply, isReply } from './errors.ts'

/** What the server said about itself when the connection began. */
export interface Greeting {
  /** 2: the server refused HELLO, so the connection speaks RESP2. */
  readonly protocol: 2 | 3
  /** `redis`, `valkey`, ...; undefined where the server does not say it, as the other two. */
  readonly server?: string | undefined
  readonly version?: string | undefined
  /** `standalone`, `sentinel` or `cluster`. */
  readonly mode?: string | undefined
  /** The error reply to HELLO with RESP2. */
  readonly refusal?: string | undefined
}

/** Sends one command. @throws its error reply, or the end of the connection. */
type Send = (args: readonly string[]) => Promise<unknown>

/** Codes of errors about this client or this moment. Any other one is about HELLO itself. */
const NOT_ABOUT_HELLO =
  /^(WRONGPASS|NOAUTH|LOADING|BUSY|MASTERDOWN|READONLY|DENIED|MISCONF|CLUSTERDOWN|TRYAGAIN|OOM|ERR (max number of clients|invalid password|AUTH ))/

const NO_PASSWORD_SET = /without any password configured|no password is set/i

/**
 * Logs in, names the connection and chooses the protocol: RESP3, or RESP2 where the server or a
 * proxy in front of it refuses HELLO. A refused name is left out.
 * @throws the error reply to the login, without the password that some servers repeat in it.
 */
export async function greet(send: Send, { username, password, database }: RedisAddress, name: string) {
  try {
    // A user without a password (nopass) may send any password.
    const login = (username ?? password) ? ['AUTH', username ?? 'default', password ?? ''] : []
    const greeting = await hello(send, login, name)
    if (greeting.protocol === 2 && login.length > 0) await authenticate(send, username, password ?? '')
    // The name only helps the reader of CLIENT LIST.
    if (greeting.protocol === 2) await optional(send(['CLIENT', 'SETNAME', name]))
    if (database !== 0) await send(['SELECT', String(database)])
    return greeting
  } catch (error) {
    throw isReply(error) ? new ErrorReply(withoutArguments(error.message, [password])) : error
  }
}

async function hello(send: Send, login: readonly string[], name: string): Promise<Greeting> {
  try {
    return greetingOf(await send(['HELLO', '3', ...login, 'SETNAME', name]))
  } catch (error) {
    if (!isReply(error) || NOT_ABOUT_HELLO.test(error.message)) throw error
    const refusal = withoutArguments(error.message, [login.at(-1)])
    if (!/setname|syntax/i.test(refusal)) return { protocol: 2, refusal }
    const greeting = await send(['HELLO', '3', ...login]).then(greetingOf, (again) => {
      if (!isReply(again) || NOT_ABOUT_HELLO.test(again.message)) throw again
      return { protocol: 2, refusal } as const
    })
    if (greeting.protocol === 3) await optional(send(['CLIENT', 'SETNAME', name]))
    return greeting
  }
}

/** Servers before 6.0 know no users, and AUTH with one argument. */
async function authenticate(send: Send, username: string | undefined, password: string): Promise<void> {
  try {
    await send(['AUTH', ...(username === undefined ? [] : [username]), password])
  } catch (error) {
    if (!isReply(error) || !NO_PASSWORD_SET.test(error.message)) throw error
  }
}

async function optional(reply: Promise<unknown>): Promise<void> {
  await reply.catch((error) => {
    if (!isReply(error)) throw error
  })
}

function greetingOf(reply: unknown): Greeting {
  const flat = Array.isArray(reply) ? reply.map(String) : []
  const field = (name: string) => {
    const at = flat.findIndex((each, i) => i % 2 === 0 && each === name)
    return at < 0 ? undefined : flat[at + 1]
  }
  return { protocol: 3, server: field('server'), version: field('version'), mode: field('mode') }
}

const SHORTEST_SECRET = 4

/**
 * Returns an error text without the arguments that the server repeats: they hold the password, and
 * Redis cuts them, so a search for the whole password does not find it.
 */
export function withoutArguments(message: string, secrets: readonly (string | undefined)[]): string {
  let text = message.replace(/,? *(with|having) args?(uments)? .*$/is, '')
  for (const secret of secrets) {
    for (let length = secret?.length ?? 0; length >= SHORTEST_SECRET; length--)
      text = text.replaceAll(secret!.slice(0, length), '***')
    if (secret) for (const quote of [`'`, '"', '`']) text = text.replaceAll(`${quote}${secret}${quote}`, '***')
  }
  return text
}
