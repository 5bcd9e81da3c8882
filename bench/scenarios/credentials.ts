/**
 * Upgrades with a single-use token of Redis and with a JWT (HS256), in turn, at one process: what
 * each costs. Every JWT is another one, so no verified token is found in the cache. Only CPU is
 * reported: a gateway that answers faster than the generator asks has latencies that mean nothing.
 */
import { connectSome, connectWithJwts, IN_FLIGHT, refuseUnless } from '../acts/crowd.ts'
import { JWT_SECRET } from '../load/jwts.ts'
import { refuseIfTooLittle, type Scenario, type Settings, type Values } from '../scenario.ts'
import { cpuSeconds } from '../stage/procfs.ts'
import type { Stage } from '../stage/stage.ts'
import { OURS } from '../subjects.ts'

const BURSTS = 4
/** V8 has compiled the code after this many handshakes of each kind. */
const WARM_UP = 2000

async function round(stage: Stage, { sockets }: Settings): Promise<Values> {
  const count = Math.ceil(sockets / BURSTS)
  const all = 2 * (WARM_UP + BURSTS * count)
  await stage.redis.seedTokens(all)
  let first = 0
  const burst = async (connect: typeof connectSome, size: number): Promise<number> => {
    const before = cpuSeconds(stage.pid)
    await connect(stage, first, size)
    first += size
    return cpuSeconds(stage.pid) - before
  }
  const kinds = { redis: connectSome, jwt: connectWithJwts }
  const total = { redis: 0, jwt: 0 }
  await burst(kinds.redis, WARM_UP)
  await burst(kinds.jwt, WARM_UP)
  for (let n = 0; n < BURSTS; n++)
    for (const kind of n % 2 === 0 ? (['redis', 'jwt'] as const) : (['jwt', 'redis'] as const))
      total[kind] += await burst(kinds[kind], count)
  refuseIfTooLittle(total.jwt)
  await refuseUnless(stage, { sockets: all, channels: all })
  return {
    jwtShare: total.jwt / total.redis,
    redisUs: (total.redis * 1e6) / (BURSTS * count),
    jwtUs: (total.jwt * 1e6) / (BURSTS * count),
  }
}

export const credentials: Scenario = {
  name: 'credentials',
  about: `upgrades with single-use tokens and with JWTs (HS256) in turn, ${IN_FLIGHT} under way at a time`,
  subjects: [OURS.name],
  env: { AUTH_JWT_SECRET: JWT_SECRET },
  uses: ['sockets'],
  defaults: { sockets: 7000, messages: 0, perSecond: 0, window: 0, rounds: 3 },
  open: ({ sockets }) => 2 * (WARM_UP + BURSTS * Math.ceil(sockets / BURSTS)),
  quick: { sockets: 3000, rounds: 1 },
  metrics: [
    { key: 'jwtShare', label: 'CPU of a JWT, times that of a token of Redis', digits: 2, better: 'lower' },
    { key: 'redisUs', label: 'CPU per handshake with a token of Redis, us', digits: 1, better: 'lower' },
    { key: 'jwtUs', label: 'CPU per handshake with a JWT, us', digits: 1, better: 'lower' },
  ],
  round,
}
