import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { growthOf, type Sample, type Series, slopeOf } from '../../bench/soak/growth.ts'
import { runSoak } from '../../bench/soak/soak.ts'
import { OURS } from '../../bench/subjects.ts'
import { withoutRealRedis } from '../support/redis.ts'

const MAIN = fileURLToPath(new URL('../../bench/soak/main.js', import.meta.url))
const LEAK = fileURLToPath(new URL('../../../test/fixtures/soak/leak.cjs', import.meta.url))
const skip = process.platform === 'linux' ? withoutRealRedis : 'the soak reads /proc, which is there on Linux only'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const MEMORY: Series = { key: 'memory', label: 'memory', digits: 1, perHour: 1, slack: 6 }

/** One sample a minute for so many hours. */
const sampled = (hours: number, valueAt: (minute: number) => number): Sample[] =>
  Array.from({ length: hours * 60 }, (_, minute) => [minute * MINUTE_MS, valueAt(minute)])

describe('the growth of a series', () => {
  it('a line by least squares has the slope of its points', () => {
    assert.equal(slopeOf([[0, 1], [1, 3], [2, 5]]), 2) // biome-ignore format: one line
    assert.equal(slopeOf([[0, 4], [1, 4], [2, 4]]), 0) // biome-ignore format: one line
  })

  it('a sawtooth is flat, whatever its height and wherever it ends', () => {
    for (const period of [7, 31, 113]) {
      const { grows, rise } = growthOf(
        MEMORY,
        sampled(8, (minute) => 30 + (minute % period)),
      )
      assert.deepEqual([grows, Math.abs(rise) < 6], [false, true], `${period}: ${rise}`)
    }
  })

  it('a leak grows, also below a sawtooth, and what comes before the warm-up does not count', () => {
    const leak = growthOf(
      MEMORY,
      sampled(8, (minute) => 30 + (minute % 31) + (minute / 60) * 2),
    )
    assert.equal(leak.grows, true)
    assert.ok(leak.perHour > 1.5 && leak.perHour < 2.5, String(leak.perHour))
    const filled = growthOf(
      MEMORY,
      sampled(8, (minute) => Math.min(60, 30 + minute * 2)),
    )
    assert.deepEqual([filled.grows, filled.rise], [false, 0])
  })

  it('a small rise is noise in a short run, and growth in a long one', () => {
    const rising = (minute: number) => 30 + (minute / 60) * 1.5
    assert.equal(growthOf(MEMORY, sampled(1, rising)).grows, false)
    assert.equal(growthOf(MEMORY, sampled(8, rising)).grows, true)
  })

  it('too few samples prove nothing, so the series counts as growing', () => {
    const { grows, why } = growthOf(MEMORY, [[0, 1], [HOUR_MS, 1]]) // biome-ignore format: one line
    assert.deepEqual([grows, why], [true, '1 spans with samples, and 6 are needed'])
    assert.equal(growthOf(MEMORY, []).grows, true)
  })
})

describe('the soak', { skip }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'wsproxy-soak-'))
  after(() => rmSync(dir, { recursive: true }))

  it('a short soak with an outage of Redis is flat, leaves no socket behind, and keeps its samples', async () => {
    const samples = join(dir, 'soak.jsonl')
    const args = ['--minutes', '0.4', '--every', '1', '--outage', '10', '--sockets', '4', '--samples', samples]
    const { status, stdout, stderr } = await new Promise<{ status: unknown; stdout: string; stderr: string }>(
      (resolve) => {
        execFile(process.execPath, [MAIN, ...args], { timeout: 120_000 }, (error, stdout, stderr) =>
          resolve({ status: error ? error.code : 0, stdout, stderr }),
        )
      },
    )
    assert.equal(status, 0, stdout + stderr)
    assert.match(stdout, /[12] outages of Redis, gateway busy [\d.]+ % of a core/)
    assert.match(stdout, /open files .* flat$/m)
    const lines = readFileSync(samples, 'utf8').trim().split('\n')
    assert.ok(lines.length >= 6)
    for (const line of lines) assert.ok(JSON.parse(line).channels > 0, line)
  })

  it('a gateway that leaks memory and timers grows', async () => {
    const flags = [...OURS.flags!, '--require', LEAK]
    const times = { lengthMs: 15_000, everyMs: 500, outageMs: HOUR_MS }
    const load = { sockets: 2, rate: 10 }
    const result = await runSoak({ ...load, ...times, subject: { ...OURS, flags }, onSample: () => {} })
    const grown = result.growths.filter(({ grows }) => grows).map(({ series }) => series.key)
    for (const key of ['anonymousMb', 'residentMb', 'resources']) assert.ok(grown.includes(key), `${key}: ${grown}`)
    for (const key of ['handles', 'channels', 'confirmed']) assert.ok(!grown.includes(key), key)
  })

  it('a wrong option ends the soak with exit status 2', async () => {
    for (const args of [['--hours', '0'], ['--colour']]) {
      const code = await new Promise((resolve) => {
        execFile(process.execPath, [MAIN, ...args], (error) => resolve(error?.code))
      })
      assert.equal(code, 2)
    }
  })
})
