/** One message to one socket, round the sessions. Saturated, and at a given pace. */
import { METRICS, PACED_METRICS, paced, round, saturated, smooth } from '../acts/exchange.ts'
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

/** More CPU than this for a message means one system call for each. */
const ALONE_US = 3

export const unicastSmooth: Scenario = {
  name: 'unicast-smooth',
  about: 'as unicast-saturated, published in small writes instead of 1,024 messages at once',
  uses: ['sockets', 'messages', 'window'],
  defaults: { sockets: 1000, messages: 1_000_000, perSecond: 0, window: 20_000, rounds: 5 },
  quick: { messages: 300_000, rounds: 1 },
  metrics: [
    ...METRICS,
    {
      key: 'alone',
      label: `rounds above ${ALONE_US} us of CPU per message, %`,
      digits: 0,
      better: 'context',
      summary: 'mean',
    },
  ],
  round: async (stage, settings) => {
    const values = await round(stage, settings, smooth)
    return { ...values, alone: values.cpuUs! > ALONE_US ? 100 : 0 }
  },
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
