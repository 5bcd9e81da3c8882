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
  /** Takes its time whatever the settings: left out of a `--quick` that does not name it. */
  long?: true
  /** What `--quick` changes in the defaults. */
  quick: Partial<Settings>
  metrics: Metric[]
  /** One round on a fresh stage. Throws `Refused` when its numbers would not mean anything. */
  round(stage: Stage, settings: Settings): Promise<Values>
}

/** A round that ran but is not reported: messages were lost, or the bench was the bottleneck itself. */
export class Refused extends Error {}

/** The same by a fault of the subject: it has lost, doubled or reordered something. The gate does not look away from it. */
export class Faulty extends Refused {}

const GENERATOR_LIMIT = 0.9
/** A generator that is later than this at p99 has measured what else the machine does. */
const LATE_MS = 20
const AWAY_LIMIT = 0.01

/** Throws `Refused` when a process of the bench was busier than 90 % of a core: it would have measured itself. */
export function refuseIfGeneratorBound(name: string, share: number): void {
  if (share <= GENERATOR_LIMIT) return
  throw new Refused(`the ${name} was the bottleneck: busy ${Math.round(share * 100)} % of the time`)
}

/** Throws `Refused` when a process of the bench could not look at what came for more than 1 % of the time: its p99 would be its own. */
export function refuseIfAway(name: string, share: number): void {
  if (share <= AWAY_LIMIT) return
  throw new Refused(`the ${name} was the bottleneck: away ${(share * 100).toFixed(0)} % of the time`)
}

/** Throws `Refused` when an open loop was not one: what was due was sent more than 20 ms later at p99. */
export function refuseIfLate(name: string, lagP99Ms: number): void {
  if (lagP99Ms <= LATE_MS) return
  throw new Refused(`the ${name} was the bottleneck: ${lagP99Ms.toFixed(0)} ms late at p99`)
}
