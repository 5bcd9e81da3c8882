/**
 * One session with all sockets on it: each message goes to every socket. Messages and rates count
 * deliveries, not published messages.
 */

import { PACED_METRICS, type Pace, pacedWarmUp, publishPaced, round } from '../acts/exchange.ts'
import type { Scenario, Settings, Values } from '../scenario.ts'
import type { Stage } from '../stage/stage.ts'

/** Deliveries that make whole messages. */
const whole = (deliveries: number, sockets: number): number => Math.ceil(deliveries / sockets) * sockets

const toAll: Pace = {
  acknowledged: false,
  warmUp: (settings) => whole(pacedWarmUp(settings), settings.sockets),
  publish: (stage, count, { perSecond, sockets }) => publishPaced(stage, count / sockets, perSecond / sockets),
}

function toOneSession(stage: Stage, settings: Settings): Promise<Values> {
  const messages = whole(settings.messages, settings.sockets)
  return round(stage, { ...settings, messages }, toAll, { sessions: 1, together: true })
}

const LABELS: Record<string, string> = {
  cpuUs: 'CPU per delivery, us',
  perCoreSecond: 'deliveries per core-second',
}

export const fanout: Scenario = {
  name: 'fanout',
  about: 'one session with all sockets on it; every message is delivered to each (open loop)',
  counted: 'delivered',
  uses: ['sockets', 'messages', 'perSecond'],
  defaults: { sockets: 1000, messages: 400_000, perSecond: 40_000, window: 0, rounds: 3 },
  quick: { messages: 60_000, rounds: 1 },
  env: { AUTH_TOKEN_MODE: 'reusable' }, // all sockets use the token of the one session
  metrics: PACED_METRICS.map((metric) => ({ ...metric, label: LABELS[metric.key] ?? metric.label })),
  round: toOneSession,
}
