import { randomBytes } from 'node:crypto'
import { parseDuration } from '../config/kinds.ts'
import { loadConfig } from '../config/load.ts'
import { isId, sessionAuth } from '../contract/names.ts'
import { CommandFailed, Misused } from './failure.ts'
import { asAgent } from './redis.ts'

/** 256 bits. */
const TOKEN_BYTES = 32

interface TokenOptions {
  readonly ttl: string
  /** Keep the other tokens of the session. */
  readonly add?: boolean
}

/**
 * Creates a token that lives for `ttl` and prints it to stdout. It replaces those of the session,
 * or joins them in a set.
 */
export async function create(session: string, options: TokenOptions): Promise<void> {
  if (!isId(session)) throw new Misused(`"${session}" is not a session id: 1 to 200 of [A-Za-z0-9_.~@=+:-]`)
  const ttlMs = Math.round(parseDuration(options.ttl) ?? 0)
  if (ttlMs <= 0) throw new Misused(`--ttl ${options.ttl} is not a duration: seconds, or 90s, 5m, 1h`)
  console.log(await newToken(session, ttlMs, options.add))
}

/**
 * Stores a random token for a session in Redis and returns it. It replaces those of the session;
 * with `add` it joins them. @throws CommandFailed when the session has one token that is no set.
 */
export async function newToken(session: string, ttlMs: number, add = false): Promise<string> {
  const token = randomBytes(TOKEN_BYTES).toString('base64url')
  const { config } = loadConfig()
  await asAgent(config, async (agent) => {
    // The key prefix may be that of the running gateway, which is known here.
    const key = sessionAuth(session)
    if (!add) return agent.set(key, token, ttlMs)
    return agent.add(key, token, ttlMs).catch((error: Error) => {
      if (!/WRONGTYPE/.test(causesOf(error))) throw error
      throw new CommandFailed(
        `session ${session} has one token, stored as a string (by SET, or token create without --add). ` +
          `Create all of its tokens with --add, after DEL ${key}`,
      )
    })
  })
  return token
}

/** The messages of an error and of those that MULTI collects. */
function causesOf(error: Error): string {
  const { replies = [] } = error as { replies?: readonly unknown[] }
  return [error, ...replies]
    .filter((each) => each instanceof Error)
    .map(({ message }) => message)
    .join()
}
