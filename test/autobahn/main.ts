/**
 * Runs the Autobahn suite against a door that echoes. It needs `wstest` of `autobahntestsuite`,
 * which runs under Python 2.7 only (docs/development/testing.md). The doors of the gateway do not
 * echo, so this one stands for all: the stages of `src/connection` and uWebSockets.js are the same.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { Connection } from '../../src/connection/connection.ts'
import { createGateway, type Door, type DoorTools } from '../../src/gateway/create.ts'
import { startRedis } from '../support/redis.ts'

/** The largest message of the suite is 16 MiB. */
const MAX_BYTES = 32 * 1024 ** 2
/** Messages of up to 16 MiB, which take minutes. */
const LARGE = '9.*'
/** permessage-deflate, which is not offered. */
const COMPRESSED = ['12.*', '13.*']

const { values } = parseArgs({
  options: {
    wstest: { type: 'string', default: 'wstest' },
    out: { type: 'string', default: '.autobahn' },
    quick: { type: 'boolean', default: false },
  },
})

const echo = ({ path, channel, stats }: DoorTools): Door => {
  const answer = (binary: boolean) => (connection: Connection, frame: Buffer) =>
    void connection.wire?.send(frame, binary, false)
  return {
    name: 'echo',
    subjectName: 'echo',
    path: path('/echo/:id'),
    maxMessageBytes: MAX_BYTES,
    rate: { intervalMs: 0, burst: 1 },
    idleTimeout: undefined,
    stats: stats('echo'),
    admit: () => ({
      kind: 'admission',
      subject: 'echo',
      tokenKey: undefined,
      source: { render: (_, message) => message },
      redisChannel: channel('echo'),
      topics: [[channel('echo')]],
      topicsRequired: true,
    }),
    receive: answer(false),
    receiveBinary: answer(true),
    rateLimited() {},
    goodbye: () => undefined,
  }
}

interface Result {
  readonly behavior: string
  readonly behaviorClose: string
}

/** The number of cases by how they ended; `FAILED` names those that failed. */
function summaryOf(folder: string): { counts: Record<string, number>; failed: string[] } {
  const { wsproxy = {} } = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as Record<
    string,
    Record<string, Result>
  >
  const counts: Record<string, number> = {}
  const failed: string[] = []
  for (const [name, { behavior, behaviorClose }] of Object.entries(wsproxy)) {
    counts[behavior] = (counts[behavior] ?? 0) + 1
    if (behavior === 'FAILED' || behaviorClose === 'FAILED') failed.push(name)
  }
  return { counts, failed }
}

const redis = await startRedis()
const limits = { MAX_BUFFER_SIZE_BYTES: '64MiB', CONNECT_RATE: '0', CONNECT_RATE_PER_IP: '0' }
const settings = { REDIS_URL: redis.url, LISTEN_ADDR: '127.0.0.1:0', ...limits }
const gateway = await createGateway({ settings, doors: (tools) => [echo(tools)], log: () => {} })
const { port } = gateway.listen()
const folder = resolve(values.out)
mkdirSync(folder, { recursive: true })
const spec = join(folder, 'spec.json')
const servers = [{ agent: 'wsproxy', url: `ws://127.0.0.1:${port}/echo/1`, options: { version: 18 } }]
const excluded = [...COMPRESSED, ...(values.quick ? [LARGE] : [])]
writeFileSync(spec, JSON.stringify({ outdir: folder, servers, cases: ['*'], 'exclude-cases': excluded }))
while (!gateway.redisReady) await new Promise((done) => setTimeout(done, 10))

const child = spawn(values.wstest, ['-m', 'fuzzingclient', '-s', spec], { stdio: ['ignore', 'ignore', 'inherit'] })
const status = await new Promise<number | string>((done) => {
  child.once('error', (error) => done(String(error)))
  child.once('exit', (code) => done(code ?? 1))
})
await gateway.stop()
await redis.stop()
if (status !== 0) {
  console.error(`${values.wstest} did not run: ${status}`)
  process.exit(2)
}
const { counts, failed } = summaryOf(folder)
console.log(
  Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', '),
)
if (failed.length > 0) console.error(`failed: ${failed.join(', ')}`)
process.exit(failed.length > 0 || Object.keys(counts).length === 0 ? 1 : 0)
