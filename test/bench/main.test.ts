import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Outcome } from '../../bench/report/outcome.ts'
import { familyOf } from '../../bench/stage/procfs.ts'
import { withoutRealRedis } from '../support/redis.ts'
import { eventually } from '../support/wait.ts'

const MAIN = fileURLToPath(new URL('../../bench/main.js', import.meta.url))
const SMALL = ['--sockets', '4', '--messages', '80', '--rate', '800', '--rounds', '1']
const skip = process.platform === 'linux' ? withoutRealRedis : 'the bench reads /proc, which is there on Linux only'

const EXCUSE = /took|bottleneck|too little/

interface Ended {
  status: number
  stdout: string
  stderr: string
}

const bench = (...args: string[]): Promise<Ended> => benchIn(process.env, ...args)

const benchIn = (env: NodeJS.ProcessEnv, ...args: string[]): Promise<Ended> =>
  new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], { env, timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({ status: error ? Number(error.code ?? -1) : 0, stdout, stderr })
    })
  })

describe('the bench', { skip }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'wsproxy-bench-test-'))
  const started: ChildProcess[] = []
  after(() => {
    // Each child ends what it started. One left by a failed test would slow down all other tests.
    for (const child of started) child.kill()
    rmSync(dir, { recursive: true })
  })
  const start = (...args: string[]): ChildProcess => {
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: 'ignore' })
    started.push(child)
    return child
  }

  it('the bench measures ours and the peers in turn and loses no message', async () => {
    const report = join(dir, 'report.html')
    const { status, stdout, stderr } = await bench(
      'fanout',
      'upstream',
      'stream-p',
      ...SMALL,
      '--json',
      '--report',
      report,
      '--subject',
      'ours',
      'ws-redis',
      'socket.io',
    )
    assert.ok(stdout, stderr)
    const { machine, outcomes } = JSON.parse(stdout) as { machine: { node: string }; outcomes: Outcome[] }
    assert.equal(machine.node, process.version)
    assert.deepEqual(
      outcomes.map(({ scenario }) => scenario),
      ['stream-paced', 'fanout', 'upstream'],
    )
    const subjects = outcomes.flatMap((outcome) => outcome.subjects)
    assert.equal(subjects.map(({ subject }) => subject).join(), Array(3).fill('ours,ws-redis,socket.io').join())
    const rounds = subjects.flatMap((each) => each.rounds)
    // On a busy machine a round may be refused, but nothing may be lost.
    const others = rounds.filter((round) => !('values' in round) && !('refused' in round && EXCUSE.test(round.refused)))
    assert.deepEqual(others, [])
    assert.equal(status, rounds.every((round) => 'values' in round) ? 0 : 1)
    assert.match(stderr, /^\[9\/9 +\d+ s\] upstream 1\/1 socket\.io: /m)
    assert.match(readFileSync(report, 'utf8'), /<h2>upstream<\/h2>/)
  })

  it('the bench rejects an unwritable report and a gate of other scenarios before the first round', async () => {
    const page = await bench('fanout', ...SMALL, '--report', '/dev/null/report.html')
    assert.deepEqual([page.status, /the report cannot be written/.test(page.stderr)], [2, true])
    const folder = await bench('fanout', ...SMALL, '--report', dir)
    assert.deepEqual([folder.status, /cannot be written: .* is a folder/.test(folder.stderr)], [2, true])
    const gate = await bench('fanout', '--gate')
    assert.deepEqual([gate.status, /--gate runs the scenarios of gate\.json/.test(gate.stderr)], [2, true])
    for (const args of [['--gate', '--sockets', '10'], ['--sockets', '0'], ['--colour'], ['fanout', '--rate']]) {
      const { status, stderr } = await bench(...args)
      assert.deepEqual([status, /^error: .*\n$/.test(stderr)], [2, true], stderr)
    }
    assert.equal((await bench('--help')).status, 0)
  })

  it('the bench exits with one line when no Redis is installed', async () => {
    const { status, stderr } = await benchIn({ PATH: dir }, 'fanout', '--subject', 'ours')
    assert.deepEqual([status, stderr], [2, 'error: neither redis-server nor valkey-server is on the PATH\n'])
  })

  it('the bench writes its page after each scenario, so that an interrupted run keeps its results', async () => {
    const report = join(dir, 'so-far.html')
    const large = ['--sockets', '10', '--messages', '30000', '--rate', '15000', '--rounds', '1']
    const args = ['upstream', 'http', '--subject', 'ours', ...large, '--report', report]
    const child = start(...args)
    const exited = once(child, 'exit')
    await eventually(() => existsSync(report), 'the page of the first scenario', 60_000)
    child.kill('SIGINT')
    await exited
    const page = readFileSync(report, 'utf8')
    assert.match(page, /<h2>upstream<\/h2>/)
    assert.doesNotMatch(page, /<h2>http<\/h2>/)
    // A busy machine may refuse the round.
    const isExcused = page.includes('NOT REPORTED') && EXCUSE.test(page)
    assert.ok(/<svg /.test(page) || isExcused, page)
  })

  it('an interrupted bench leaves no process behind', async () => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      const child = start('unicast-p', '--subject', 'ours', '--json')
      const exited = once(child, 'exit')
      // With Redis, the subject, the publisher and the receiver.
      const family = () => familyOf(child.pid!)
      const started = await eventually(
        () => (family().length === 5 ? family() : undefined),
        `all processes of a stage before ${signal}`,
        60_000,
      )
      child.kill(signal)
      await exited
      await eventually(() => started.every((pid) => !existsSync(`/proc/${pid}`)), `the end of all after ${signal}`)
    }
  })

  it('the bench measures with few sockets, too', async () => {
    const { stdout, stderr } = await bench(
      'handshake',
      '--sockets',
      '2',
      '--rounds',
      '1',
      '--subject',
      'ours',
      '--json',
    )
    assert.ok(stdout, stderr)
    const [outcome] = (JSON.parse(stdout) as { outcomes: Outcome[] }).outcomes
    assert.ok(!('failed' in outcome!.subjects[0]!.rounds[0]!), stderr)
  })

  it('the bench rejects an unknown scenario, and a run without any able subject', async () => {
    const unknown = await bench('juggling')
    assert.deepEqual([unknown.status, /no scenario is called juggling/.test(unknown.stderr)], [2, true])
    const nobody = await bench('handshake', '--subject', 'nchan', 'webdis')
    assert.equal(nobody.status, 2)
    for (const name of ['nchan', 'webdis']) assert.match(nobody.stderr, new RegExp(`(skipped: |without )${name}: `))
  })
})
