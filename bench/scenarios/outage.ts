/**
 * Redis is killed and started again, several times a round. Measures from the moment at which Redis
 * accepts connections until every socket has received a message.
 */
import { connectAll } from '../acts/crowd.ts'
import { refuseFaults } from '../acts/exchange.ts'
import { sleep } from '../load/clock.ts'
import { GO, RUST } from '../peers/native.ts'
import { meanOf, summarise } from '../report/statistics.ts'
import { Faulty, type Scenario, type Settings, type Values } from '../scenario.ts'
import { cpuSeconds } from '../stage/procfs.ts'
import type { Stage } from '../stage/stage.ts'
import { OURS } from '../subjects.ts'

const OUTAGES = 5
/** How long Redis is away: 1 s and the time that it needs to start. */
const DOWN_MS = 1000
const CALL_MS = 5000
const BACK_MS = 30_000
/** All notices of a gap arrive sooner after the messages. */
const QUIET_MS = 2000
/** Between two outages. */
const PAUSE_MS = 500

interface Return {
  /** From Redis accepting connections until the last socket has received its message. */
  allMs: number
  /** CPU of the subject meanwhile. */
  cpuMs: number
}

async function round(stage: Stage, { sockets }: Settings): Promise<Values> {
  await stage.redis.seedTokens(sockets)
  await connectAll(stage, 0, sockets)
  const returns: Return[] = []
  for (let number = 0; number < OUTAGES; number++) returns.push(await outageOnce(stage, sockets, number))
  const all = summarise(returns.map(({ allMs }) => allMs))!
  return { allMs: all.median, bestMs: all.min, worstMs: all.max, cpuMs: meanOf(returns.map(({ cpuMs }) => cpuMs)) }
}

async function outageOnce(stage: Stage, sockets: number, number: number): Promise<Return> {
  await sleep(PAUSE_MS)
  await stage.receiver.call('restart', {}, CALL_MS)
  const acceptingUs = await stage.redis.restart(DOWN_MS)
  const cpu = cpuSeconds(stage.pid)
  const order = { redisPort: stage.redis.port, sessions: sockets, sequence: number, giveUpMs: BACK_MS }
  const heard = await stage.publisher.call('untilHeard', order, BACK_MS + CALL_MS)
  if (heard < sockets) throw new Faulty(`${heard} of ${sockets} channels are subscribed ${BACK_MS} ms after the outage`)
  const total = sockets * (number + 1)
  const arrivals = await stage.receiver.call('arrivals', { delivered: total, quietMs: QUIET_MS }, BACK_MS)
  // Waits until no message has come for that time, and so for the last notices.
  const until = { delivered: Number.MAX_SAFE_INTEGER, quietMs: QUIET_MS }
  const { foreign } = await stage.receiver.call('arrivals', until, BACK_MS)
  const cpuMs = (cpuSeconds(stage.pid) - cpu) * 1000
  refuseFaults({ ...arrivals, foreign: 0 }, total)
  // The peers send no notice when messages are lost.
  const told = stage.subject.name === OURS.name ? sockets : 0
  if (foreign !== told) throw new Faulty(`${foreign} notices of the gap have arrived at ${sockets} sockets`)
  return { allMs: (arrivals.lastArrivalUs - acceptingUs) / 1000, cpuMs }
}

export const outage: Scenario = {
  name: 'outage',
  about: 'Redis is killed for a second, five times a round; each socket gets a message as soon as its channel is back',
  subjects: [OURS.name, GO.name, RUST.name],
  long: true,
  uses: ['sockets'],
  defaults: { sockets: 10_000, messages: 0, perSecond: 0, window: 0, rounds: 3 },
  quick: { sockets: 2000, rounds: 1 },
  metrics: [
    { key: 'allMs', label: 'from Redis accepting to a message at all, median, ms', digits: 0, better: 'lower' },
    { key: 'cpuMs', label: 'CPU of the subject for one return, ms', digits: 0, better: 'lower' },
    { key: 'worstMs', label: 'the same, worst of the outages, ms', digits: 0, better: 'lower' },
    { key: 'bestMs', label: 'the same, best of the outages, ms', digits: 0, better: 'context' },
  ],
  round,
}
