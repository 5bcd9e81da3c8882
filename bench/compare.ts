/**
 * `--compare`: ours beside the peers that take the same work, in turn, in ten minutes. The rounds
 * are shorter than those of a whole run, and long enough for CPU to be exact to a hundredth.
 */

import { GO, RUST } from './peers/native.ts'
import type { Options } from './plan.ts'
import type { Settings } from './scenario.ts'
import { OURS } from './subjects.ts'

/** The peers of `--compare`, unless `--subject` names others. */
export const COMPARED = [OURS.name, GO.name, RUST.name, 'ws-redis']

/** The works of `--compare`, with what differs from their defaults. */
export const WORKS: Record<string, Partial<Settings>> = {
  'unicast-saturated': { messages: 600_000 },
  'unicast-paced': { messages: 120_000 },
  fanout: { messages: 240_000 },
  upstream: { messages: 120_000 },
  handshake: { sockets: 6000 },
}

/** The names and options that `--compare` stands for. What the command line gives comes first. */
export const compared = (names: string[], options: Options): [string[], Options] => [
  names.length > 0 ? names : Object.keys(WORKS),
  { ...options, subject: options.subject ?? COMPARED, works: WORKS },
]
