import { planOf, type Step } from '../plan.ts'
import { Random } from '../random.ts'

export type GroundName = 'plain' | 'sentinel' | 'cluster' | 'sharded'

/** `stop` and `kill` end a gateway, `redis` is the fault of the ground, `link` one of its way. */
type SeamKind = 'drop' | 'crowd' | 'stop' | 'kill' | 'stall' | 'trim' | 'redis' | 'link'

export interface SeamStep {
  readonly kind: SeamKind
  readonly calmMs: number
  readonly lengthMs: number
  /** Which session, reader or gateway. */
  readonly pick: number
  /** The next step begins while this one lasts. */
  readonly isOverlapped: boolean
  /** Only for `link`. */
  readonly fault: Step
}

export interface SeamPlan {
  readonly seed: number
  readonly ground: GroundName
  readonly sessions: number
  readonly readers: number
  /** Logs are so short that clients lose messages, with a gap. */
  readonly isTrimmed: boolean
  /** Messages that a gateway reads at once. */
  readonly page: number
  readonly steps: readonly SeamStep[]
}

const KINDS: readonly SeamKind[] = ['drop', 'drop', 'crowd', 'stop', 'kill', 'stall', 'redis', 'link']

const OVERLAPPED: readonly SeamKind[] = ['stall', 'crowd', 'link']
const PAGES = [2, 50, 200]

/** The events of a run, all derived from the seed and the ground. */
export function seamPlanOf(seed: number, ground: GroundName, length: number): SeamPlan {
  const random = new Random(seed)
  const faults = planOf(seed).steps
  const isTrimmed = random.chance(0.3)
  const kinds = KINDS.filter((kind) => kind !== 'link' || ground === 'plain')
  const more: readonly SeamKind[] = isTrimmed ? ['trim'] : []
  const steps = Array.from({ length }, (_, i): SeamStep => {
    const picked = i === 1 ? 'redis' : random.pick([...kinds, ...more])
    // Sentinels refuse a second fail-over soon after the first.
    const kind = picked === 'redis' && i !== 1 && ground === 'sentinel' ? 'drop' : picked
    return {
      kind,
      calmMs: random.int(20, 300),
      lengthMs: random.int(50, 1000),
      pick: random.int(0, 1000),
      isOverlapped: OVERLAPPED.includes(kind) && random.chance(0.5),
      fault: faults[i % faults.length]!,
    }
  })
  return {
    seed,
    ground,
    sessions: random.int(2, 4),
    readers: random.int(2, 3),
    isTrimmed,
    page: random.pick(PAGES),
    steps,
  }
}

/** The plan in words, for the log of a failed run. */
export function seamTextOf({ seed, ground, sessions, readers, isTrimmed, page, steps }: SeamPlan): string {
  const head = `seed ${seed} on ${ground}: ${sessions} sessions of ${readers} clients, pages of ${page}${isTrimmed ? ', short logs' : ''}`
  const lines = steps.map(({ kind, calmMs, lengthMs, isOverlapped, fault }) => {
    const what =
      kind === 'link' ? `${fault.kind} (${fault.scope.link ?? 'all links'}, ${fault.scope.way ?? 'both'})` : kind
    return `  after ${calmMs} ms: ${what} for ${lengthMs} ms${isOverlapped ? ', and meanwhile' : ''}`
  })
  return [head, ...lines].join('\n')
}
