import { LIBRARY_QUESTION, type LibraryState, libraryIn } from '../../redis/session-library.ts'
import { isReply } from '../../redis/wire/errors.ts'
import type { Check, CheckedRedis } from '../check.ts'

/** Used memory at which Redis soon refuses to write, as a share of maxmemory. */
const NEARLY_FULL = 0.9

/** What a server says of itself, as far as logs need it. Undefined: INFO does not say it. */
interface Server {
  readonly aof: string | undefined
  readonly policy: string | undefined
  readonly usedBytes: number
  /** 0: no limit. */
  readonly maxBytes: number
}

const check: Check = {
  name: 'session-log',
  priority: 15,
  appliesTo: 'all',
  async execute(_, signal, { redis, gateway }) {
    const infos = await answersOf(redis, ['INFO'], signal)
    if (infos === undefined)
      return { status: 'warn', message: 'INFO is not allowed, so it is unknown how safe the logs of sessions are' }
    const servers = infos.map((info) => serverIn(String(info)))
    const library = worst(((await answersOf(redis, LIBRARY_QUESTION, signal)) ?? []).map(libraryIn))
    const details = {
      library,
      aof: servers.map(({ aof }) => (aof === '1' ? 'on' : aof === '0' ? 'off' : 'unknown')).join(', '),
      maxmemoryPolicy: servers.map(({ policy }) => policy ?? 'unknown').join(', '),
      usedBytes: servers.reduce((sum, { usedBytes }) => sum + usedBytes, 0),
    }
    const facts = `the library is ${WORDS[library]}, AOF is ${details.aof}, maxmemory-policy is ${details.maxmemoryPolicy}`
    // Without the library there may be no log at all.
    const problems = library === 'absent' ? [] : problemsOf(servers, library, gateway.isProduction)
    if (problems.length === 0) return { status: 'pass', message: `logs of sessions: ${facts}`, details }
    return {
      status: 'warn',
      message: `logs of sessions: ${problems.map(([problem]) => problem).join('; ')} (${facts})`,
      details,
      remediation: problems.map(([, remedy]) => remedy).join(' '),
    }
  },
}
export default check

const WORDS: Readonly<Record<LibraryState, string>> = {
  same: 'installed',
  absent: 'not installed',
  differs: 'of another version',
}

const worst = (states: readonly LibraryState[]): LibraryState =>
  states.includes('differs')
    ? 'differs'
    : states.length > 0 && states.every((each) => each === 'same')
      ? 'same'
      : 'absent'

function problemsOf(servers: readonly Server[], library: LibraryState, isProduction: boolean): [string, string][] {
  const evicts = servers.find(({ policy, maxBytes }) => maxBytes > 0 && policy !== undefined && policy !== 'noeviction')
  const full = servers.some(({ usedBytes, maxBytes }) => maxBytes > 0 && usedBytes >= maxBytes * NEARLY_FULL)
  const problems: [boolean, string, string][] = [
    [library === 'differs', 'agents use a library of another version', 'Run wsproxy redis install.'],
    [
      isProduction && servers.some(({ aof }) => aof === '0'),
      'a restart of Redis loses them',
      'redis-cli CONFIG SET appendonly yes, and in redis.conf.',
    ],
    [
      evicts !== undefined,
      `Redis may evict them (${evicts?.policy})`,
      'redis-cli CONFIG SET maxmemory-policy noeviction, or let agents keep less.',
    ],
    [full, 'Redis has used 90 % of maxmemory', 'Raise maxmemory, or let agents keep shorter logs.'],
  ]
  return problems.flatMap(([is, problem, remedy]) => (is ? [[problem, remedy]] : []))
}

function serverIn(info: string): Server {
  const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1]
  return {
    aof: field('aof_enabled'),
    policy: field('maxmemory_policy'),
    usedBytes: Number(field('used_memory') ?? 0),
    maxBytes: Number(field('maxmemory') ?? 0),
  }
}

/** Undefined: Redis refuses the command. */
async function answersOf(
  redis: CheckedRedis,
  args: readonly string[],
  signal: AbortSignal,
): Promise<readonly unknown[] | undefined> {
  try {
    return await redis.everyNode(args, signal)
  } catch (error) {
    if (isReply(error)) return undefined
    throw error
  }
}
