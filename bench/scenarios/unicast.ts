/** One message to one socket, round the sessions. Saturated, and at a given pace. */
import { METRICS, PACED_METRICS, paced, round, saturated } from '../acts/exchange.ts'
import type { Scenario } from '../scenario.ts'

export const unicastSaturated: Scenario = {
  name: 'unicast-saturated',
  about: 'one message to one socket, as fast as they arrive (closed window)',
  uses: ['sockets', 'messages', 'window'],
  defaults: { sockets: 1000, messages: 1_000_000, perSecond: 0, window: 20_000, rounds: 3 },
  quick: { messages: 300_000, rounds: 1 },
  metrics: METRICS,
  round: (stage, settings) => round(stage, settings, saturated),
}

export const unicastPaced: Scenario = {
  name: 'unicast-paced',
  about: 'one message to one socket at a given pace (open loop)',
  uses: ['sockets', 'messages', 'perSecond'],
  defaults: { sockets: 1000, messages: 200_000, perSecond: 20_000, window: 0, rounds: 3 },
  quick: { messages: 30_000, rounds: 1 },
  metrics: PACED_METRICS,
  round: (stage, settings) => round(stage, settings, paced),
}
