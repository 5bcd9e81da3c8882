/**
 * Upgrades with a single-use token of Redis and with a JWT (HS256), in turn, at one process: what
 * each costs. Every JWT is another one, so no verified token is found in the cache.
 */
import { connectSome, connectWithJwts, IN_FLIGHT, refuseUnless } from '../acts/crowd.ts'
import type { ConnectResult } from '../load/fleet.ts'
import { JWT_SECRET } from '../load/jwts.ts'
import { refuseIfBound, refuseIfTooLittle, type Scenario, type Settings, type Values } from '../scenario.ts'
import { cpuSeconds } from '../stage/procfs.ts'
import type { Stage } from '../stage/stage.ts'
import { OURS } from '../subjects.ts'

type Connect = (stage: Stage, first: number, count: number) => Promise<ConnectResult>

const BURSTS = 4
/** V8 has compiled the code after this many handshakes of each kind. */
const WARM_UP = 2000

async function round(stage: Stage, { sockets }: Settings): Promise<Values> {
  const count = Math.ceil(sockets / BURSTS)
  const all = 2 * (WARM_UP + BURSTS * count)
  await stage.redis.seedTokens(all)
  let first = 0
  const burst = async (connect: Connect, size: number): Promise<{ cpu: number; p50Ms: number }> => {
    const before = cpuSeconds(stage.pid)
    const result = await connect(stage, first, size)
    first += size
    refuseIfBound('generator', result)
    return { cpu: cpuSeconds(stage.pid) - before, p50Ms: result.p50Ms }
  }
  const kinds = { redis: connectSome, jwt: connectWithJwts }
  const total = { redis: { cpu: 0, p50Ms: 0 }, jwt: { cpu: 0, p50Ms: 0 } }
  await burst(kinds.redis, WARM_UP)
  await burst(kinds.jwt, WARM_UP)
  for (let n = 0; n < BURSTS; n++)
    for (const kind of n % 2 === 0 ? (['redis', 'jwt'] as const) : (['jwt', 'redis'] as const)) {
      const { cpu, p50Ms } = await burst(kinds[kind], count)
      total[kind].cpu += cpu
      total[kind].p50Ms += p50Ms / BURSTS
    }
  refuseIfTooLittle(total.jwt.cpu)
  await refuseUnless(stage, { sockets: all, channels: all })
  return {
    jwtShare: total.jwt.cpu / total.redis.cpu,
    redisUs: (total.redis.cpu * 1e6) / (BURSTS * count),
    jwtUs: (total.jwt.cpu * 1e6) / (BURSTS * count),
    redisP50Ms: total.redis.p50Ms,
    jwtP50Ms: total.jwt.p50Ms,
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
    { key: 'redisP50Ms', label: 'handshake with a token of Redis p50, ms', digits: 1, better: 'lower' },
    { key: 'jwtP50Ms', label: 'handshake with a JWT p50, ms', digits: 1, better: 'lower' },
  ],
  round,
}
