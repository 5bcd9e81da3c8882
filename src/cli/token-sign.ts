import { createHmac, randomUUID } from 'node:crypto'
import { parseDuration } from '../config/kinds.ts'
import { loadConfig } from '../config/load.ts'
import { secretList } from '../config/strength.ts'
import { CommandFailed, Misused } from './failure.ts'

interface SignOptions {
  readonly session: readonly string[]
  readonly run: readonly string[]
  readonly topic: readonly string[]
  readonly publishTopic: readonly string[]
  readonly publish?: boolean
  readonly agent?: string
  readonly sub?: string
  readonly ttl: string
  readonly readOnly?: boolean
}

/**
 * Signs a JWT with the first secret of AUTH_JWT_SECRET and prints it to stdout. Nothing is stored.
 * @throws CommandFailed without a secret; Misused when the token would open nothing.
 */
export function sign(options: SignOptions): void {
  const { session, run, topic, publishTopic, publish = false, agent, sub, ttl, readOnly = false } = options
  const ttlMs = parseDuration(ttl) ?? 0
  if (ttlMs < 1000) throw new Misused(`--ttl ${ttl} is not a duration of a second or more: seconds, or 90s, 5m, 1h`)
  if (session.length + run.length + topic.length + publishTopic.length === 0)
    throw new Misused('give --session, --run, --topic or --publish-topic: the token opens nothing else')
  if (publish && (session.length === 0 || readOnly))
    throw new Misused('--publish needs a --session whose stream it writes, and not --read-only')
  const { config } = loadConfig()
  const [secret] = secretList(config.authJwtSecret)
  if (secret === undefined)
    throw new CommandFailed('AUTH_JWT_SECRET is not set. A token of a JWKS is signed by its identity provider.')
  const now = Math.floor(Date.now() / 1000)
  const claims = {
    ...(config.authJwtIssuer[0] !== undefined && { iss: config.authJwtIssuer[0] }),
    ...(config.authJwtAudience[0] !== undefined && { aud: config.authJwtAudience[0] }),
    ...(sub !== undefined && { sub }),
    ...(session.length > 0 && { session_id: session }),
    ...(run.length > 0 && { run_id: run }),
    ...(topic.length > 0 && { topics: topic }),
    ...(publishTopic.length > 0 && { publish_topics: publishTopic }),
    ...(publish && { publish: true }),
    ...(agent !== undefined && { agent_id: agent }),
    ...(readOnly && { up: false }),
    jti: randomUUID(),
    iat: now,
    exp: now + Math.floor(ttlMs / 1000),
  }
  const input = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`
  console.log(`${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`)
}

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
