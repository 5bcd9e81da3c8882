/** The interface of all scenarios. */
import type { Stage } from './stage/stage.ts'

/** How much a scenario does. Each has its own defaults; the command line overrides them. */
export interface Settings {
  sockets: number
  /** Messages that are measured, after a warm-up. */
  messages: number
  /** Messages a second in paced scenarios. */
  perSecond: number
  /** The most messages under way in saturated scenarios. */
  window: number
  rounds: number
}

/** One line of the report; `key` is its name in a round's values. */
export interface Metric {
  key: string
  label: string
  digits: number
  /** Whether a higher or a lower number is better; `context` is not compared. */
  better: 'higher' | 'lower' | 'context'
  /** What stands for all rounds: the median with its spread by default, or the mean alone. */
  summary?: 'mean'
}

export type Values = Record<string, number>

export interface Scenario {
  name: string
  about: string
  /** The subjects that support it; all by default. */
  subjects?: readonly string[]
  /** Settings of the subject in addition to its own. */
  env?: Record<string, string>
  /** The settings that it uses; the others are not shown. */
  uses: (keyof Settings)[]
  /** What its messages are, if not messages that agents publish. */
  counted?: 'delivered' | 'sent by clients'
  defaults: Settings
  /** The number of sockets open at once, if it differs from `sockets`. */
  open?(settings: Settings): number
  /** Takes long whatever the settings: `--quick` leaves it out unless it is named. */
  long?: true
  /** What `--quick` changes in the defaults. */
  quick: Partial<Settings>
  metrics: Metric[]
  /** Runs one round on a fresh stage. Throws `Refused` when its numbers would be meaningless. */
  round(stage: Stage, settings: Settings): Promise<Values>
}

/** Invalid arguments, reported before the first round. */
export class Impossible extends Error {}

/**
 * A round that ran but is not reported: messages were lost, or the bench itself was the bottleneck.
 */
export class Refused extends Error {}

/**
 * A refused round by a fault of the subject, which lost, doubled or reordered something. It fails
 * the gate.
 */
export class Faulty extends Refused {}

const BUSY_LIMIT = 0.9
/** A generator later than this at p99 has measured the load of the machine. */
const LATE_MS = 20
const AWAY_LIMIT = 0.01
const SLOW_SHARE = 0.05
const SLOW_S = 0.1
const LEAST_CPU_S = 0.1

/** What a process of the bench reports about itself. */
export interface Effort {
  /** CPU time over wall time. */
  generatorShare: number
  /** The share of the time in which it could not read what had arrived. */
  awayShare?: number
  /** The p99 of the delay of an open loop behind its schedule. */
  lagP99Ms?: number
}

let isCpuOnly = false

/**
 * From now on a round also counts when the machine has kept the bench from its work: the CPU time
 * of the subject is its own, and latencies are not reported then.
 */
export function judgeCpuOnly(): void {
  isCpuOnly = true
}

/**
 * Throws `Refused` when a process of the bench would have measured itself. That is so when it was
 * busy for more than 90 % of a core, sent what was due more than 20 ms late at p99 (no longer an
 * open loop), or was absent for more than 1 % of the time (the p99 would be its own).
 */
export function refuseIfBound(name: string, { generatorShare, awayShare = 0, lagP99Ms = 0 }: Effort): void {
  const refuse = (how: string) => new Refused(`the ${name} was the bottleneck: ${how}`)
  if (generatorShare > BUSY_LIMIT) throw refuse(`busy ${Math.round(generatorShare * 100)} % of the time`)
  if (isCpuOnly) return
  if (awayShare > AWAY_LIMIT) throw refuse(`absent ${(awayShare * 100).toFixed(0)} % of the time`)
  if (lagP99Ms > LATE_MS) throw refuse(`${lagP99Ms.toFixed(0)} ms late at p99`)
}

/** Throws `Refused` when an open loop took longer than planned. */
export function refuseIfSlow(name: string, seconds: number, planned: number): void {
  if (isCpuOnly || seconds <= planned * (1 + SLOW_SHARE) + SLOW_S) return
  throw new Refused(`the ${name} took ${seconds.toFixed(1)} s for ${planned.toFixed(1)} s`)
}

/**
 * Throws `Refused` when the subject used too little CPU: the 10 ms resolution of /proc would exceed
 * a tenth of it.
 */
export function refuseIfTooLittle(cpuSeconds: number): void {
  if (cpuSeconds >= LEAST_CPU_S) return
  throw new Refused(`too little CPU to measure: ${Math.round(cpuSeconds * 1000)} ms of CPU (--messages, --sockets)`)
}
