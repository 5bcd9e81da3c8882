/** What load balancers see: /health and /ready while all sockets are open and messages come at a given pace. */
import { probe } from '../load/prober.ts'
import { Usage } from '../load/usage.ts'
import { Refused, refuseIfGeneratorBound, type Scenario, type Settings, type Values } from '../scenario.ts'
import { cpuSeconds } from '../stage/procfs.ts'
import type { Stage } from '../stage/stage.ts'
import { exchange, paced, prepare } from './unicast.ts'

const CALL_MS = 5000
const ASKED_PER_SECOND = 100

async function round(stage: Stage, settings: Settings): Promise<Values> {
  const { messages } = settings
  await prepare(stage, settings, paced)
  const warmUp = paced.warmUp(settings)
  await exchange(stage, paced, warmUp, warmUp, settings)
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
  refuseIfGeneratorBound('receiver', arrivals.generatorShare)
  refuseIfGeneratorBound('publisher', published.generatorShare)
  refuseIfGeneratorBound('prober', usage.share())
  for (const [path, { answers, failed }] of Object.entries({ '/health': health, '/ready': ready })) {
    if (failed > 0 || answers === 0) throw new Refused(`${path}: ${failed} of ${answers} answers were not 200`)
  }
  return {
    healthP50Ms: health.p50Ms,
    healthP99Ms: health.p99Ms,
    healthMaxMs: health.maxMs,
    readyP50Ms: ready.p50Ms,
    readyP99Ms: ready.p99Ms,
    readyMaxMs: ready.maxMs,
    answers: health.answers + ready.answers,
    subjectBusy: ((cpuSeconds(stage.pid) - before) / seconds) * 100,
  }
}

export const http: Scenario = {
  name: 'http',
  about: `/health and /ready, ${ASKED_PER_SECOND} a second each, while messages come at a given pace`,
  subjects: ['ours'],
  uses: ['sockets', 'messages', 'perSecond'],
  defaults: { sockets: 10_000, messages: 300_000, perSecond: 20_000, window: 0, rounds: 3 },
  long: true,
  quick: { sockets: 1000, messages: 60_000, rounds: 1 },
  metrics: [
    { key: 'healthP50Ms', label: '/health p50, ms', digits: 2, better: 'lower' },
    { key: 'healthP99Ms', label: '/health p99, ms', digits: 2, better: 'lower' },
    { key: 'healthMaxMs', label: '/health max, ms', digits: 1, better: 'lower' },
    { key: 'readyP50Ms', label: '/ready p50, ms', digits: 2, better: 'lower' },
    { key: 'readyP99Ms', label: '/ready p99, ms', digits: 2, better: 'lower' },
    { key: 'readyMaxMs', label: '/ready max, ms', digits: 1, better: 'lower' },
    { key: 'answers', label: 'answers', digits: 0, better: 'context' },
    { key: 'subjectBusy', label: 'subject busy, % of a core', digits: 0, better: 'context' },
  ],
  round,
}
