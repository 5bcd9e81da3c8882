import { existsSync, readFileSync } from 'node:fs'

/** For `{ skip }`: false where the memory of another process can be read, else the reason to skip. */
export const withoutProc: string | false = existsSync('/proc/self/status') ? false : 'needs /proc (Linux)'

/** Resident memory of a process in MiB. */
function rssMib(pid: number | undefined): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1]) / 1024
}

/**
 * Samples the memory of a process until `stop`, which returns how many MiB it had grown at most.
 * `most` is the largest that it had so far, in MiB.
 */
export function watchMemory(pid: number | undefined): { stop(): number; most(): number } {
  const before = rssMib(pid)
  let most = before
  const timer = setInterval(() => {
    most = Math.max(most, rssMib(pid))
  }, 20)
  return {
    most: () => most,
    stop() {
      clearInterval(timer)
      return Math.max(most, rssMib(pid)) - before
    },
  }
}
