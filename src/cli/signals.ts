import { setImmediate } from 'node:timers/promises'

/** The signals of a start, which would end the process before the command can follow them. */

const STOPS: ReadonlySet<NodeJS.Signals> = new Set(['SIGTERM', 'SIGINT', 'SIGQUIT'])
/** A terminal sends these to all processes of the command. */
const OF_A_TERMINAL = ['SIGINT', 'SIGHUP', 'SIGQUIT'] as const

const held: NodeJS.Signals[] = []
let follow = (signal: NodeJS.Signals): void => {
  // A start that hangs must end all the same.
  if (STOPS.has(signal) && held.some((each) => STOPS.has(each))) process.exit()
  held.push(signal)
}

const hold = (signal: NodeJS.Signals): void => void process.on(signal, () => follow(signal))

/**
 * From now on signals wait until the command follows them. The second one that stops ends the
 * process at once.
 */
export function holdSignals(): void {
  for (const signal of [...STOPS, 'SIGHUP'] as const) hold(signal)
}

/** As `holdSignals`, for a worker: its supervisor decides on the signals of a terminal. */
export function holdSignalsOfWorker(): void {
  hold('SIGTERM')
  for (const signal of OF_A_TERMINAL) process.on(signal, () => {})
}

/**
 * Calls `next` for each signal that came before, and for each that comes. Resolves when those that
 * have reached the process are dealt with: a start that waits for nothing lets none of them through.
 */
export async function followSignals(next: (signal: NodeJS.Signals) => void): Promise<void> {
  follow = next
  for (const signal of held.splice(0)) next(signal)
  // The first turn may have looked for events already.
  for (let turn = 0; turn < 2; turn++) await setImmediate()
}
