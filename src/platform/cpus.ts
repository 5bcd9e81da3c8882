import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'

const LISTS = '/sys/fs/cgroup'
/** Where version 1 mounts the controller of CPU time: the names differ by distribution. */
const VERSION_1 = ['cpu', 'cpu,cpuacct', 'cpuacct,cpu']

const read = (path: string): string => {
  try {
    return readFileSync(path, 'latin1').trim()
  } catch {
    return ''
  }
}

/** The path itself and all folders above it, the root as ''. */
function withParents(path: string): string[] {
  const parts = path.split('/').filter(Boolean)
  return Array.from({ length: parts.length + 1 }, (_, up) => {
    const rest = parts.slice(0, parts.length - up)
    return rest.length === 0 ? '' : `/${rest.join('/')}`
  })
}

/** The CPUs of a quota and a period in microseconds; undefined for `max`, -1 or no file. */
function cpusOf(quota: string, period: string): number | undefined {
  const cpus = Number(quota) / Number(period)
  return cpus > 0 && Number.isFinite(cpus) ? cpus : undefined
}

/**
 * Returns the CPUs that the quota of the cgroup (v2 or v1) gives this process: the smallest one of
 * its own cgroup and those above. Undefined where no quota is set.
 * @param root the root of the file system, for tests.
 */
export function cpuQuota(root = ''): number | undefined {
  const groups = read(`${root}/proc/self/cgroup`).split('\n')
  const pathOf = (pattern: RegExp) => groups.map((line) => pattern.exec(line)?.[1]).find((path) => path !== undefined)
  const second = withParents(pathOf(/^0::(.*)$/) ?? '').map((path) => {
    const [quota = '', period = ''] = read(`${root}${LISTS}${path}/cpu.max`).split(' ')
    return cpusOf(quota, period)
  })
  // Without a namespace of its own a container sees the path of the host, which is not mounted in
  // it; the root of the mount is then its own cgroup.
  const parents = withParents(pathOf(/^\d+:(?:[^:]*,)?cpu(?:,[^:]*)?:(.*)$/) ?? '')
  const first = VERSION_1.flatMap((mount) => parents.map((path) => `${root}${LISTS}/${mount}${path}`)).map((folder) =>
    cpusOf(read(`${folder}/cpu.cfs_quota_us`), read(`${folder}/cpu.cfs_period_us`)),
  )
  const quotas = [...second, ...first].filter((cpus) => cpus !== undefined)
  return quotas.length === 0 ? undefined : Math.min(...quotas)
}

/** The CPUs that this process may use: those of the quota of its cgroup, at most all it runs on. */
export const cpusOfProcess = (quota = cpuQuota(), cpus = availableParallelism()): number =>
  Math.min(quota ?? cpus, cpus)

/** Returns how many processes WORKERS asks for. `auto`: one for each whole CPU, at least one. */
export const workerCount = (setting: number | 'auto', cpus = cpusOfProcess): number =>
  setting === 'auto' ? Math.max(1, Math.floor(cpus())) : setting
