/**
 * What Linux knows about processes and the machine: /proc/<pid>/stat, /proc/<pid>/status,
 * /proc/stat (proc(5)).
 */
import { readdirSync, readFileSync } from 'node:fs'

const TICKS_PER_SECOND = 100 // USER_HZ, the same on every Linux that Node supports
const UTIME = 11 // fields are counted from the parenthesis that ends the name
const STIME = 12

/**
 * CPU time in seconds, user and system, of all threads of the process and its descendants; exact to
 * 10 ms each.
 */
export const cpuSeconds = (pid: number): number => sum(pid, ownCpuSeconds)

function ownCpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[UTIME]) + Number(fields[STIME])) / TICKS_PER_SECOND
}

/** Memory that belongs to the process and is not backed by a file, in bytes. */
export const anonymousBytes = (pid: number): number => sum(pid, (each) => statusBytes(each, 'RssAnon'))

/** Resident memory, in bytes; includes mapped pages as `peakBytes` does. */
export const residentBytes = (pid: number): number => sum(pid, (each) => statusBytes(each, 'VmRSS'))

/**
 * The peak of resident memory, in bytes; includes the pages of the executable and its libraries.
 */
export const peakBytes = (pid: number): number => sum(pid, (each) => statusBytes(each, 'VmHWM'))

const sum = (pid: number, measure: (pid: number) => number): number =>
  familyOf(pid).reduce((total, each) => total + measure(each), 0)

/** The seconds for which the machine was idle since it booted, summed over its cores. */
export function idleSeconds(): number {
  const [, , , , idle, waiting] = readFileSync('/proc/stat', 'latin1').split('\n', 1)[0]!.split(/ +/)
  return (Number(idle) + Number(waiting)) / TICKS_PER_SECOND
}

/** The most open files of a process of this user: the limit that child processes inherit. */
export function openFilesLimit(): number {
  const limit = /^Max open files +(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]
  return limit === undefined || limit === 'unlimited' ? Number.POSITIVE_INFINITY : Number(limit)
}

/**
 * A process and its living descendants, itself first (nginx has workers). Throws when it has ended.
 */
export function familyOf(pid: number): number[] {
  const childrenOf = (thread: string) => readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1').split(' ')
  const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) => whileThere(() => childrenOf(thread)))
  return [pid, ...children.filter(Boolean).flatMap((child) => whileThere(() => familyOf(Number(child))))]
}

/** Nothing for a process that has ended meanwhile. */
function whileThere<T>(look: () => T[]): T[] {
  try {
    return look()
  } catch {
    return []
  }
}

function statusBytes(pid: number, field: string): number {
  const kilobytes = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]
  if (kilobytes === undefined) throw new Error(`/proc/${pid}/status has no ${field}`)
  return Number(kilobytes) * 1024
}
