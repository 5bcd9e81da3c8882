import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { cpuQuota, workerCount } from '../../src/platform/cpus.ts'
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
    assert.equal(workerCount(3, 1, 1), 3)
    assert.equal(workerCount('auto', undefined, 8), 8)
    assert.equal(workerCount('auto', 2.5, 8), 2)
    assert.equal(workerCount('auto', 0.5, 8), 1)
    assert.equal(workerCount('auto', 16, 4), 4)
  })
})
