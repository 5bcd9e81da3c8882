import type { FaultProxy, FaultScope } from '../support/fault-proxy.ts'
import { Random } from './random.ts'

type FaultKind = 'reset' | 'fin' | 'cut mid-frame' | 'refuse' | 'delay' | 'half-open' | 'drop' | 'deaf'

/** One fault, and the calm before it. */
export interface Step {
  readonly calmMs: number
  readonly kind: FaultKind
  readonly scope: FaultScope
  /** The added delay of bytes; only for `delay`. */
  readonly delayMs: number
  readonly lengthMs: number
  /** Whether the gateway gets the time to recover before the next fault. */
  readonly wait: boolean
}

/** The events of a run, all derived from the seed. */
export interface Plan {
  readonly seed: number
  readonly sessions: number
  readonly socketsPerSession: number
  readonly steps: readonly Step[]
}

const KINDS: readonly FaultKind[] = [
  'reset',
  'fin',
  'cut mid-frame',
  'refuse',
  'delay',
  'half-open',
  'half-open',
  'drop',
  'deaf',
]
const LINKS = ['wsproxy-commands', 'wsproxy-subscriber', undefined] as const
const WAYS = ['up', 'down', undefined] as const

export function planOf(seed: number): Plan {
  const random = new Random(seed)
  const sessions = random.int(2, 4)
  const socketsPerSession = random.int(2, 3)
  const steps = Array.from({ length: random.int(4, 6) }, (): Step => {
    const kind = random.pick(KINDS)
    return {
      calmMs: random.int(50, 500),
      kind,
      scope: { link: random.pick(LINKS), way: random.pick(WAYS) },
      delayMs: random.int(5, 700),
      lengthMs: lengthOf(kind, random),
      wait: random.chance(0.6),
    }
  })
  return { seed, sessions, socketsPerSession, steps }
}

/**
 * Some faults end before they can be detected, and some outlast every timeout: three unanswered
 * pings, or a canary that is missing for too long.
 */
function lengthOf(kind: FaultKind, random: Random): number {
  if (kind === 'deaf') return random.int(500, 2500)
  if (kind === 'half-open' && random.chance(0.25)) return random.int(3500, 5500)
  return random.int(20, 1200)
}

/** The plan in words, for the log of a failed run. */
export function textOf({ seed, sessions, socketsPerSession, steps }: Plan): string {
  const lines = steps.map(({ calmMs, kind, scope, delayMs, lengthMs, wait }) => {
    const whole = kind === 'refuse' || kind === 'deaf'
    const where = whole ? '' : ` ${scope.link ?? 'all links'} ${scope.way ?? 'both ways'}`
    const late = kind === 'delay' ? ` by ${delayMs} ms` : ''
    return `  after ${calmMs} ms: ${kind}${where}${late} for ${lengthMs} ms${wait ? ', then wait' : ''}`
  })
  return [`seed ${seed}: ${sessions} sessions of ${socketsPerSession} sockets`, ...lines].join('\n')
}

/** Starts the fault of a step. */
export async function inflict(proxy: FaultProxy, { kind, scope, delayMs }: Step): Promise<void> {
  if (kind === 'reset' || kind === 'fin') proxy.sever(kind, scope.link)
  else if (kind === 'cut mid-frame') proxy.cutMidFrame(scope)
  else if (kind === 'refuse') proxy.refuse()
  else if (kind === 'delay') proxy.delay(delayMs, scope)
  else if (kind === 'half-open') proxy.halfOpen(scope)
  else if (kind === 'drop') proxy.drop(scope)
  else proxy.deaf()
}
