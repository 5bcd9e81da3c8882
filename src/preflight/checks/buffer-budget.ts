import type { Check } from '../check.ts'

/** The process itself needs the rest: its heap, the frames of clients, and its native memory. */
const MOST_SHARE = 0.5

const check: Check = {
  name: 'buffer-budget',
  priority: 15,
  appliesTo: 'all',
  async execute(_, __, { gateway }) {
    const { maxBufferedBytes } = gateway.limits
    const { limitBytes } = gateway.memory()
    const details = { maxBufferedBytes, limitBytes }
    const budget = `MAX_BUFFERED_BYTES is ${mib(maxBufferedBytes)}, and the memory of this process ${mib(limitBytes)}`
    if (maxBufferedBytes <= limitBytes * MOST_SHARE) return { status: 'pass', message: budget, details }
    const remediation = `Set MAX_BUFFERED_BYTES=${Math.floor(toMib(limitBytes) / 4)}MiB, or raise the memory limit.`
    if (maxBufferedBytes < limitBytes)
      return { status: 'warn', message: `${budget}: less than half is left for all else`, details, remediation }
    return {
      // A laptop has few slow clients: only production fills the budget.
      status: gateway.isProduction ? 'fail' : 'warn',
      message: `${budget}: slow clients get the process killed before the budget closes them`,
      details,
      remediation,
    }
  },
}
export default check

const toMib = (bytes: number): number => bytes / 1024 ** 2
const mib = (bytes: number): string => `${Math.round(toMib(bytes))} MiB`
