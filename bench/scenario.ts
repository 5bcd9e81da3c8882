/** The shape that all scenarios have in common. */
import type { Stage } from './stage/stage.ts'

/** How much a scenario does. Every scenario has defaults of its own; the command line overrides them. */
export interface Settings {
  sockets: number
  /** Messages that are measured, after a warm-up. */
  messages: number
  /** Messages a second where the pace is given. */
  perSecond: number
  /** Messages under way at the most where it is not. */
  window: number
  rounds: number
}

/** One line of the report; `key` is its name in a round's values. */
export interface Metric {
  key: string
  label: string
  digits: number
  /** Whether a higher or a lower number is better; `context` is not to be compared. */
  better: 'higher' | 'lower' | 'context'
}

export type Values = Record<string, number>

export interface Scenario {
  name: string
  about: string
  /** Names of the subjects that can do it; without it all. */
  subjects?: readonly string[]
  /** Settings of the subject beside its own. */
  env?: Record<string, string>
  /** Which settings matter to it; the others are not shown. */
  uses: (keyof Settings)[]
  /** What the messages of its settings are, when they are not what agents publish. */
  counted?: 'delivered' | 'sent by clients'
  defaults: Settings
  /** How many sockets are open at once, when that is another number than `sockets`. */
  open?(settings: Settings): number
  /** Takes its time whatever the settings: left out of a `--quick` that does not name it. */
  long?: true
  /** What `--quick` changes in the defaults. */
  quick: Partial<Settings>
  metrics: Metric[]
  /** One round on a fresh stage. Throws `Refused` when its numbers would not mean anything. */
  round(stage: Stage, settings: Settings): Promise<Values>
}

/** The arguments cannot be: said before the first round. */
export class Impossible extends Error {}

/** A round that ran but is not reported: messages were lost, or the bench was the bottleneck itself. */
export class Refused extends Error {}

/** The same by a fault of the subject: it has lost, doubled or reordered something. The gate does not look away from it. */
export class Faulty extends Refused {}

const BUSY_LIMIT = 0.9
/** A generator that is later than this at p99 has measured what else the machine does. */
const LATE_MS = 20
const AWAY_LIMIT = 0.01
const SLOW_SHARE = 0.05
const SLOW_S = 0.1
const LEAST_CPU_S = 0.1

/** What a process of the bench tells of itself. */
export interface Effort {
  /** CPU time over wall time. */
  generatorShare: number
  /** For which part of the time it could not look at what came. */
  awayShare?: number
  /** By how much later than due an open loop has sent. */
  lagP99Ms?: number
}

/**
 * Throws `Refused` when a process of the bench would have measured itself: it was busier than 90 % of a core, its open loop was none since
 * what was due was sent more than 20 ms later at p99, or it was away for more than 1 % of the time, so that the p99 is its own.
 */
export function refuseIfBound(name: string, { generatorShare, awayShare = 0, lagP99Ms = 0 }: Effort): void {
  const refuse = (how: string) => new Refused(`the ${name} was the bottleneck: ${how}`)
  if (generatorShare > BUSY_LIMIT) throw refuse(`busy ${Math.round(generatorShare * 100)} % of the time`)
  if (awayShare > AWAY_LIMIT) throw refuse(`away ${(awayShare * 100).toFixed(0)} % of the time`)
  if (lagP99Ms > LATE_MS) throw refuse(`${lagP99Ms.toFixed(0)} ms late at p99`)
}

/** Throws `Refused` when an open loop took longer than was planned. */
export function refuseIfSlow(name: string, seconds: number, planned: number): void {
  if (seconds <= planned * (1 + SLOW_SHARE) + SLOW_S) return
  throw new Refused(`the ${name} took ${seconds.toFixed(1)} s for ${planned.toFixed(1)} s`)
}

/** Throws `Refused` when so little CPU was measured that the 10 ms to which /proc tells it are a tenth of it and more. */
export function refuseIfTooLittle(cpuSeconds: number): void {
  if (cpuSeconds >= LEAST_CPU_S) return
  throw new Refused(
    `too little was done to measure: ${Math.round(cpuSeconds * 1000)} ms of CPU (--messages, --sockets)`,
  )
}
