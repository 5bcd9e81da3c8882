/**
 * Clients that send more than they may, while others get messages at a given pace and a load
 * balancer requests /health: what the others notice. Only ours: the peer has no limits.
 */
import { exchange, paced, prepare } from '../acts/exchange.ts'
import type { Attacked, AttackerCommands } from '../load/attacker.ts'
import { Remote } from '../load/ipc.ts'
import { probe } from '../load/prober.ts'
import { Usage } from '../load/usage.ts'
import { Faulty, type Metric, refuseIfBound, type Scenario, type Settings, type Values } from '../scenario.ts'
import { forkChild } from '../stage/children.ts'
import { anonymousBytes, cpuSeconds } from '../stage/procfs.ts'
import type { Stage } from '../stage/stage.ts'
import { OURS } from '../subjects.ts'

const CALL_MS = 5000
const PROBES_PER_SECOND = 50
const FLOODERS = 20
const DEEP_PER_SECOND = 20
/** As large as MAX_MESSAGE_SIZE of the session door lets a frame be. */
const DEEP_BYTES = 1_040_000
/** Tokens for an attacker that is closed and comes back. */
const SPARE_TOKENS = 1000

type Attack = (attacker: Remote<AttackerCommands>, stage: Stage, settings: Settings) => Promise<unknown>

const flood: Attack = (attacker, { port }) => attacker.call('flood', { port, count: FLOODERS }, CALL_MS)

const deepJson: Attack = (attacker, { port }, { sockets }) =>
  attacker.call('deepJson', { port, first: sockets, perSecond: DEEP_PER_SECOND, bytes: DEEP_BYTES }, CALL_MS)

async function round(stage: Stage, settings: Settings, attack: Attack): Promise<Values> {
  await prepare(stage, settings, paced)
  await stage.redis.seedTokens(settings.sockets + SPARE_TOKENS)
  let published = paced.warmUp(settings)
  await exchange(stage, paced, published, published, settings)
  const phase = () => {
    published += settings.messages
    return look(stage, settings, published)
  }
  const before = await phase()
  const memoryBefore = anonymousBytes(stage.pid)
  const child = forkChild('attacker', new URL('../load/attacker.js', import.meta.url))
  let attacked: Attacked
  let during: Looked
  let grownBytes: number
  try {
    const attacker = new Remote<AttackerCommands>(child.process, child.name)
    await attack(attacker, stage, settings)
    during = await phase()
    grownBytes = anonymousBytes(stage.pid) - memoryBefore
    attacked = await attacker.call('stop', {}, CALL_MS)
  } finally {
    await child.end('SIGKILL')
  }
  if (attacked.opened === 0) throw new Faulty('no attacker could connect')
  // Measured before and after, because other load on the machine changes a p99 more than an attack.
  const after = await phase()
  const calmP99Ms = (before.p99Ms + after.p99Ms) / 2
  return {
    p99Ratio: during.p99Ms / calmP99Ms,
    calmP99Ms,
    p99Ms: during.p99Ms,
    maxMs: during.maxMs,
    calmHealthP99Ms: (before.healthP99Ms + after.healthP99Ms) / 2,
    healthP99Ms: during.healthP99Ms,
    healthMaxMs: during.healthMaxMs,
    calmBusy: (before.busy + after.busy) / 2,
    busy: during.busy,
    grownMb: grownBytes / 1e6,
    ...attacked,
  }
}

type Looked = Awaited<ReturnType<typeof look>>

/** The latencies of the others and of /health while `settings.messages` are published. */
async function look(stage: Stage, settings: Settings, total: number) {
  await stage.receiver.call('restart', {}, CALL_MS)
  const usage = new Usage()
  const [startedAt, cpu] = [performance.now(), cpuSeconds(stage.pid)]
  const exchanging = exchange(stage, paced, settings.messages, total, settings)
  const [health, { published, arrivals }] = await Promise.all([
    probe(stage.port, '/health', PROBES_PER_SECOND, exchanging),
    exchanging,
  ])
  const seconds = (performance.now() - startedAt) / 1000
  const busy = ((cpuSeconds(stage.pid) - cpu) / seconds) * 100
  refuseIfBound('receiver', arrivals)
  refuseIfBound('publisher', published)
  refuseIfBound('prober', { ...usage.used(), lagP99Ms: health.lagP99Ms })
  if (health.failed > 0) throw new Faulty(`${health.failed} of ${health.answers} answers of /health were wrong`)
  return {
    busy,
    p99Ms: arrivals.latencyMs.p99,
    maxMs: arrivals.latencyMs.max,
    healthP99Ms: health.latencyMs.p99,
    healthMaxMs: health.latencyMs.max,
  }
}

const METRICS: Metric[] = [
  { key: 'p99Ratio', label: 'p99 with the attack, times that without', digits: 2, better: 'lower' },
  { key: 'calmP99Ms', label: 'publish to client p99 before and after, ms', digits: 2, better: 'context' },
  { key: 'p99Ms', label: 'publish to client p99 meanwhile, ms', digits: 2, better: 'lower' },
  { key: 'maxMs', label: 'publish to client max meanwhile, ms', digits: 1, better: 'lower' },
  { key: 'calmHealthP99Ms', label: '/health p99 before and after, ms', digits: 2, better: 'context' },
  { key: 'healthP99Ms', label: '/health p99 meanwhile, ms', digits: 2, better: 'lower' },
  { key: 'healthMaxMs', label: '/health max meanwhile, ms', digits: 1, better: 'lower' },
  { key: 'calmBusy', label: 'subject busy before and after, % of a core', digits: 1, better: 'context' },
  { key: 'busy', label: 'subject busy meanwhile, % of a core', digits: 1, better: 'lower' },
  { key: 'grownMb', label: 'growth of RssAnon, MB', digits: 1, better: 'lower' },
  { key: 'opened', label: 'connections of the attackers', digits: 0, better: 'context' },
  { key: 'refused', label: 'connections refused to them', digits: 0, better: 'context' },
  { key: 'sentMb', label: 'sent by the attackers, MB', digits: 1, better: 'context' },
]

const scenario = (name: string, about: string, attack: Attack, env: Record<string, string> = {}): Scenario => ({
  name,
  about: `messages at a given pace (open loop): before, while and after ${about}`,
  subjects: [OURS.name],
  env,
  uses: ['sockets', 'messages', 'perSecond'],
  defaults: { sockets: 1000, messages: 20_000, perSecond: 2000, window: 0, rounds: 3 },
  long: true,
  quick: { sockets: 200, messages: 6000, rounds: 1 },
  metrics: METRICS,
  round: (stage, settings) => round(stage, settings, attack),
})

export const hostileFlood = scenario(
  'hostile-flood',
  `${FLOODERS} sockets send frames as fast as they can, and come back when they are closed`,
  flood,
)

export const hostileJson = scenario(
  'hostile-json',
  `one client sends ${DEEP_PER_SECOND} frames a second of 1 MB of deeply nested JSON`,
  deepJson,
)

/** Without the byte rate that closes the client after some seconds. */
export const hostileJsonUnlimited = scenario(
  'unlimited-hostile-json',
  `one client sends ${DEEP_PER_SECOND} of these frames a second without SESSION_BYTE_RATE`,
  deepJson,
  { SESSION_BYTE_RATE: '0' },
)
