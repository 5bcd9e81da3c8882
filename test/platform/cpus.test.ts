import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { cpuQuota, cpusOfProcess, workerCount } from '../../src/platform/cpus.ts'
import { temporaryFolder } from '../support/folder.ts'

/** The root of a file system with these files. */
function rootOf(t: TestContext, files: Readonly<Record<string, string>>): string {
  const [root] = Object.values(temporaryFolder(t))
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root!, dirname(path)), { recursive: true })
    writeFileSync(join(root!, path), `${text}\n`)
  }
  return root!
}

describe('cpuQuota', () => {
  it('reads version 2: the smallest quota of the cgroup and those above it', (t) => {
    const own = '/sys/fs/cgroup/pod/gateway/cpu.max'
    const group = { '/proc/self/cgroup': '0::/pod/gateway' }
    assert.equal(cpuQuota(rootOf(t, { ...group, [own]: '250000 100000' })), 2.5)
    assert.equal(cpuQuota(rootOf(t, { ...group, [own]: 'max 100000' })), undefined)
    const above = { [own]: '400000 100000', '/sys/fs/cgroup/pod/cpu.max': '150000 100000' }
    assert.equal(cpuQuota(rootOf(t, { ...group, ...above })), 1.5)
    const inside = { '/proc/self/cgroup': '0::/', '/sys/fs/cgroup/cpu.max': '50000 100000' }
    assert.equal(cpuQuota(rootOf(t, inside)), 0.5)
  })

  it('reads version 1, also where a container sees the path of its host', (t) => {
    const group = { '/proc/self/cgroup': '3:memory:/docker/a1\n2:cpu,cpuacct:/docker/a1\n1:name=systemd:/' }
    const at = (folder: string, quota: string) => ({
      [`/sys/fs/cgroup/${folder}/cpu.cfs_quota_us`]: quota,
      [`/sys/fs/cgroup/${folder}/cpu.cfs_period_us`]: '100000',
    })
    assert.equal(cpuQuota(rootOf(t, { ...group, ...at('cpu,cpuacct', '300000') })), 3)
    assert.equal(cpuQuota(rootOf(t, { ...group, ...at('cpu/docker/a1', '200000') })), 2)
    assert.equal(cpuQuota(rootOf(t, { ...group, ...at('cpu', '-1') })), undefined)
  })

  it('is undefined where nothing is mounted', (t) => {
    assert.equal(cpuQuota(rootOf(t, {})), undefined)
  })
})

describe('workerCount', () => {
  it('gives a number as it stands, and for auto one worker for each whole CPU', () => {
    const counts = ([3, 'auto'] as const).map((setting) =>
      [1, 2.5, 0.5].map((cpus) => workerCount(setting, () => cpus)),
    )
    assert.deepEqual(counts, [
      [3, 3, 3],
      [1, 2, 1],
    ])
  })
})

describe('cpusOfProcess', () => {
  it('is the quota, at most the CPUs that the process runs on', () => {
    assert.deepEqual([cpusOfProcess(undefined, 8), cpusOfProcess(2.5, 8), cpusOfProcess(16, 4)], [8, 2.5, 4])
  })
})
