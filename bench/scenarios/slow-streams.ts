/**
 * Some clients of server-sent events stop reading while their agents go on writing to logs: what
 * that costs in memory, and what the other streams notice.
 */
import { sessionLog, sessionMeta } from '../../src/contract/names.ts'
import { SAY_TEXT } from '../../src/redis/session-say.ts'
import { connectAll, emptyLogs, seed } from '../acts/crowd.ts'
import {
  CALL_MS,
  type Flood,
  floodSessions,
  LATENCIES,
  latencies,
  metricOf,
  phase,
  SLOW_SHARE,
  WARM_UP_S,
  Watch,
} from '../acts/slow.ts'
import { refuseIfBound, type Scenario, type Settings, type Values } from '../scenario.ts'
import { anonymousBytes } from '../stage/procfs.ts'
import type { Stage } from '../stage/stage.ts'
import { SSE } from '../subjects.ts'

const BOUND_BYTES = 1024 ** 2
/** Rarely: to write the page of metrics stops the gateway for milliseconds. */
const LOOK_MS = 2000
/** A log keeps far less than is written. */
const LIMITS = ['3600', '10000', String(4 * BOUND_BYTES)]

async function round(stage: Stage, settings: Settings): Promise<Values> {
  const slow = Math.max(1, Math.round(settings.sockets * SLOW_SHARE))
  const fast = settings.sockets - slow
  const { dialect } = stage
  await stage.publisher.call('open', { redisPort: stage.redis.port, sessions: fast, dialect }, CALL_MS)
  await stage.receiver.call('expect', { dialect }, CALL_MS)
  await seed(stage, settings.sockets)
  await connectAll(stage, 0, fast)
  await connectAll(stage, fast, slow)
  await emptyLogs(stage, fast)
  await phase(stage, settings, settings.perSecond * WARM_UP_S)
  await stage.receiver.call('restart', {}, CALL_MS)
  const before = await phase(stage, settings, settings.messages)
  const memory = new Watch(stage.pid)
  await stage.receiver.call('restart', {}, CALL_MS)
  await stage.receiver.call('pauseLast', { count: slow }, CALL_MS)
  const flood = floodSessions(stage.redis.url, fast, slow, toLogs)
  let lagging = 0
  const look = () =>
    metricOf(stage, 'wsproxy_sse_lagging').then(
      (now) => {
        lagging = Math.max(lagging, now)
      },
      () => {},
    )
  const looks = setInterval(look, LOOK_MS)
  let growthMb: number
  let during: Awaited<ReturnType<typeof phase>>
  try {
    during = await phase(stage, settings, settings.messages)
    growthMb = (memory.peak - memory.base) / 1e6
  } finally {
    clearInterval(looks)
    memory.stop()
    await flood.stop().catch(() => {}) // an earlier failure is the reason to report
  }
  for (const arrivals of [before, during]) refuseIfBound('receiver', arrivals)
  return {
    growthMb,
    boundMb: (slow * BOUND_BYTES) / 1e6,
    aboveMb: growthMb - (slow * BOUND_BYTES) / 1e6,
    leftMb: (anonymousBytes(stage.pid) - memory.base) / 1e6,
    ...latencies(before, during),
    lagging,
  }
}

const toLogs: Flood = async (client) => {
  const sha = await client.scriptLoad(SAY_TEXT)
  return (session, payload) =>
    client.sendCommand(['EVALSHA', sha, '2', sessionLog(session), sessionMeta(session), payload, ...LIMITS])
}

export const slowStreams: Scenario = {
  name: 'slow-streams',
  about: 'a tenth of the clients of server-sent events stop reading 60 MB/s that their agents write to logs',
  subjects: [SSE.name],
  env: { MAX_BUFFER_SIZE_BYTES: '1MiB' },
  long: true,
  uses: ['sockets', 'messages', 'perSecond'],
  defaults: { sockets: 1000, messages: 160_000, perSecond: 20_000, window: 0, rounds: 3 },
  quick: { sockets: 200, messages: 60_000, rounds: 1 },
  metrics: [
    { key: 'growthMb', label: 'growth of RssAnon at its peak, MB', digits: 1, better: 'lower' },
    { key: 'p99Ratio', label: 'p99 of the others, during/before', digits: 2, better: 'lower' },
    { key: 'aboveMb', label: 'growth above the sum of the bounds, MB', digits: 1, better: 'lower' },
    { key: 'boundMb', label: 'sum of the bounds of the slow ones, MB', digits: 1, better: 'context' },
    { key: 'leftMb', label: 'growth left at the end, MB', digits: 1, better: 'lower' },
    ...LATENCIES,
    { key: 'lagging', label: 'streams that lagged at once', digits: 0, better: 'context' },
  ],
  round,
}
