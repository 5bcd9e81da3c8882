/**
 * Bursts of tokens: some of many sessions are hot, and each gets several messages in a row.
 * Saturated, and at a given pace.
 */

import { METRICS, PACED_METRICS, type Pace, pacedBy, round, saturated } from '../acts/exchange.ts'
import type { Scenario, Settings, Values } from '../scenario.ts'
import type { Stage } from '../stage/stage.ts'

const HOT = 50
const BURST = 8

function bursts(stage: Stage, settings: Settings, pace: Pace): Promise<Values> {
  const messages = Math.ceil(settings.messages / BURST) * BURST
  return round(stage, { ...settings, messages }, pace, { sessions: Math.min(HOT, settings.sockets), burst: BURST })
}

export const streamSaturated: Scenario = {
  name: 'stream-saturated',
  about: `bursts of ${BURST} messages to each of ${HOT} hot sessions in turn, as fast as they arrive (closed window)`,
  uses: ['sockets', 'messages', 'window'],
  defaults: { sockets: 1000, messages: 1_000_000, perSecond: 0, window: 20_000, rounds: 3 },
  quick: { messages: 300_000, rounds: 1 },
  metrics: METRICS,
  round: (stage, settings) => bursts(stage, settings, saturated),
}

export const streamPaced: Scenario = {
  name: 'stream-paced',
  about: `bursts of ${BURST} messages to each of ${HOT} hot sessions in turn, at a given pace (open loop)`,
  uses: ['sockets', 'messages', 'perSecond'],
  defaults: { sockets: 1000, messages: 400_000, perSecond: 40_000, window: 0, rounds: 3 },
  quick: { messages: 60_000, rounds: 1 },
  metrics: PACED_METRICS,
  round: (stage, settings) => bursts(stage, settings, pacedBy(BURST)),
}
