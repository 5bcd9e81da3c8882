import { readFile } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { exposureOf } from '../../config/exposure.ts'
import type { Config } from '../../config/table.ts'
import type { CheckedGateway } from '../check.ts'
import type { Loopback } from './loopback.ts'

/**
 * What checks can ask this process. @param note a remark behind the address of the test upgrade.
 */
export function checkedGateway(
  config: Config,
  loopback: Loopback,
  sockets: () => number,
  note = () => '',
): CheckedGateway {
  const { maxConnections, maxBufferBytes, preflightExpectedRateBytes, preflightHttpDependencies } = config
  return {
    runDoor: config.runDoor,
    isProduction: config.nodeEnv === 'production',
    exposure: exposureOf(config),
    limits: { maxConnections, maxBufferBytes, expectedBytesPerSecond: preflightExpectedRateBytes },
    httpDependencies: preflightHttpDependencies,
    sockets,
    memory: () => ({ usedBytes: process.memoryUsage.rss(), limitBytes: memoryLimit() }),
    openFiles,
    upgrade: async (signal) => {
      const address = await loopback.upgrade(signal)
      return note() === '' ? address : `${address} (${note()})`
    },
  }
}

/** The memory limit of the container, or the memory of the machine. */
function memoryLimit(): number {
  const constrained = process.constrainedMemory() ?? 0
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem()
}

/** Reads the soft limit from the Linux line `Max open files <soft> <hard> files`. */
async function openFiles(): Promise<number | undefined> {
  const limits = await readFile('/proc/self/limits', 'latin1').catch(() => '')
  const [, soft] = /^Max open files\s+(\d+|unlimited)/m.exec(limits) ?? []
  if (soft === 'unlimited') return Number.MAX_SAFE_INTEGER
  return soft === undefined ? undefined : Number(soft)
}
