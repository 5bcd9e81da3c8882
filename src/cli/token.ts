import { randomBytes } from 'node:crypto'
import { parseDuration } from '../config/kinds.ts'
import { loadConfig } from '../config/load.ts'
import { isId, sessionAuth } from '../contract/names.ts'
import { Misused } from './failure.ts'
import { asAgent } from './redis.ts'

/** 256 bits. */
const TOKEN_BYTES = 32

/** Creates a token that lives for `ttl`, replaces the session's old one and prints it to stdout. */
export async function create(session: string, options: { readonly ttl: string }): Promise<void> {
  if (!isId(session)) throw new Misused(`"${session}" is not a session id: 1 to 200 of [A-Za-z0-9_.~@=+:-]`)
  const ttlMs = Math.round(parseDuration(options.ttl) ?? 0)
  if (ttlMs <= 0) throw new Misused(`--ttl ${options.ttl} is not a duration: seconds, or 90s, 5m, 1h`)
  console.log(await newToken(session, ttlMs))
}

/** Stores a random token for a session in Redis, where it replaces the old one, and returns it. */
export async function newToken(session: string, ttlMs: number): Promise<string> {
  const token = randomBytes(TOKEN_BYTES).toString('base64url')
  const { config } = loadConfig()
  await asAgent(config, (agent) => agent.set(sessionAuth(session), token, ttlMs))
  return token
}
