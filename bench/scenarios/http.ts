/**
 * HTTP requests while all sockets are open. Load balancers request /health and /ready while
 * messages come at a given pace. Then, in a calm process, the cost of an answer: /health, /metrics,
 * and an upgrade refused for an invalid token.
 */

import { exchange, paced, prepare } from '../acts/exchange.ts'
import { type Answered, answersOf, refusalsOf, type Shots } from '../load/cannon.ts'
import { DIALECTS } from '../load/dialects.ts'
import { probe } from '../load/prober.ts'
import { Usage } from '../load/usage.ts'
import { Faulty, type Metric, refuseIfBound, type Scenario, type Settings, type Values } from '../scenario.ts'
import { cpuSeconds } from '../stage/procfs.ts'
import type { Stage } from '../stage/stage.ts'

const CALL_MS = 5000
const ASKED_PER_SECOND = 100
const ANSWERS_S = 3
const HEALTH_PER_SECOND = 2000
const METRICS_PER_SECOND = 100
const REFUSED_PER_SECOND = 500

async function round(stage: Stage, settings: Settings): Promise<Values> {
  await prepare(stage, settings, paced)
  const warmUp = paced.warmUp(settings)
  await exchange(stage, paced, warmUp, warmUp, settings)
  const probes = await probesUnderLoad(stage, settings, warmUp)
  const health = { path: '/health', status: 200, perSecond: HEALTH_PER_SECOND }
  const metrics = { path: '/metrics', status: 200, perSecond: METRICS_PER_SECOND }
  const refused = { path: DIALECTS[stage.dialect].path(0), status: 403, perSecond: REFUSED_PER_SECOND }
  return {
    ...probes,
    ...(await costs(stage, 'getHealth', health, answersOf)),
    ...(await costs(stage, 'getMetrics', metrics, answersOf)),
    ...(await costs(stage, 'refused', refused, refusalsOf)),
  }
}

async function probesUnderLoad(stage: Stage, settings: Settings, warmUp: number): Promise<Values> {
  const { messages } = settings
  await stage.receiver.call('restart', {}, CALL_MS)
  const usage = new Usage()
  const startedAt = performance.now()
  const before = cpuSeconds(stage.pid)
  const exchanging = exchange(stage, paced, messages, warmUp + messages, settings)
  const [health, ready, { published, arrivals }] = await Promise.all([
    probe(stage.port, '/health', ASKED_PER_SECOND, exchanging),
    probe(stage.port, '/ready', ASKED_PER_SECOND, exchanging),
    exchanging,
  ])
  const seconds = (performance.now() - startedAt) / 1000
  const cpu = cpuSeconds(stage.pid) - before
  const { generatorShare } = usage.used()
  refuseIfBound('receiver', arrivals)
  refuseIfBound('publisher', published)
  for (const [path, probed] of Object.entries({ '/health': health, '/ready': ready })) {
    refuseIfBound('prober', { generatorShare, lagP99Ms: probed.lagP99Ms })
    refuseFailed(path, probed)
  }
  return {
    ...latencies('health', health),
    ...latencies('ready', ready),
    healthMaxMs: health.latencyMs.max,
    readyMaxMs: ready.latencyMs.max,
    probes: health.answers + ready.answers,
    proberLagMs: Math.max(health.lagP99Ms, ready.lagP99Ms),
    subjectBusy: (cpu / seconds) * 100,
  }
}

/**
 * What one answer costs the subject. Throws `Faulty` for a wrong answer, and `Refused` when
 * autocannon was too busy.
 */
async function costs(
  stage: Stage,
  key: string,
  shots: Omit<Shots, 'port' | 'answers'>,
  fire: (shots: Shots) => Promise<Answered>,
): Promise<Values> {
  const usage = new Usage()
  const before = cpuSeconds(stage.pid)
  const answered = await fire({ ...shots, port: stage.port, answers: shots.perSecond * ANSWERS_S })
  const cpu = cpuSeconds(stage.pid) - before
  refuseFailed(shots.path, answered)
  const { generatorShare } = usage.used()
  refuseIfBound('autocannon', { generatorShare })
  return { ...latencies(key, answered), [`${key}CpuUs`]: (cpu * 1e6) / answered.answers }
}

function refuseFailed(path: string, { answers, failed }: { answers: number; failed: number }): void {
  if (failed > 0 || answers === 0) throw new Faulty(`${path}: ${failed} of ${answers} answers were wrong`)
}

function latencies(key: string, { latencyMs }: Pick<Answered, 'latencyMs'>): Values {
  const { p50, p99, p999 } = latencyMs
  return { [`${key}P50Ms`]: p50, [`${key}P99Ms`]: p99, [`${key}P999Ms`]: p999 }
}

const latencyMetrics = (key: string, what: string): Metric[] => [
  { key: `${key}P50Ms`, label: `${what} p50, ms`, digits: 2, better: 'lower' },
  { key: `${key}P99Ms`, label: `${what} p99, ms`, digits: 2, better: 'lower' },
  { key: `${key}P999Ms`, label: `${what} p99.9, ms`, digits: 2, better: 'lower' },
]

const costMetrics = (key: string, what: string, perSecond: number): Metric[] => [
  { key: `${key}CpuUs`, label: `CPU per ${what}, ${perSecond} a second, us`, digits: 1, better: 'lower' },
  ...latencyMetrics(key, what),
]

export const http: Scenario = {
  name: 'http',
  about: `/health and /ready, ${ASKED_PER_SECOND} a second each, while messages come (open loop); then autocannon on /health, /metrics and refused upgrades`,
  subjects: ['ours'],
  // The answer to one refusal is measured, and not that to a flood of them.
  env: { REFUSED_RATE_PER_IP: '0' },
  uses: ['sockets', 'messages', 'perSecond'],
  defaults: { sockets: 10_000, messages: 300_000, perSecond: 20_000, window: 0, rounds: 3 },
  long: true,
  quick: { sockets: 1000, messages: 60_000, rounds: 1 },
  metrics: [
    ...latencyMetrics('health', 'probe of /health'),
    { key: 'healthMaxMs', label: 'probe of /health max, ms', digits: 1, better: 'lower' },
    ...latencyMetrics('ready', 'probe of /ready'),
    { key: 'readyMaxMs', label: 'probe of /ready max, ms', digits: 1, better: 'lower' },
    { key: 'probes', label: 'probes answered', digits: 0, better: 'context' },
    { key: 'proberLagMs', label: 'prober late p99, ms', digits: 2, better: 'context' },
    { key: 'subjectBusy', label: 'subject busy meanwhile, % of a core', digits: 0, better: 'context' },
    ...costMetrics('getHealth', 'GET /health', HEALTH_PER_SECOND),
    ...costMetrics('getMetrics', 'GET /metrics', METRICS_PER_SECOND),
    ...costMetrics('refused', 'refused upgrade', REFUSED_PER_SECOND),
  ],
  round,
}
