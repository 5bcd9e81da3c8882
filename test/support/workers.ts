import assert from 'node:assert/strict'
import { sessionAuth } from '../../src/contract/names.ts'
import { Command, run, serveReady } from './cli.ts'
import { type ConnectClientOptions, connect, type TestClient } from './client.ts'
import type { Client } from './redis.ts'
import { atEnd, type Scope } from './scope.ts'
import { eventually, within } from './wait.ts'

type Line = Readonly<Record<string, unknown>>

/** `wsproxy serve` with WORKERS, and what its log says of them. */
export interface ServedWorkers extends WatchedWorkers {
  readonly http: string
  readonly ws: string
}

interface WatchedWorkers {
  readonly command: Command
  /** The lines of one event so far. */
  events(event: string): Line[]
  /** The pid of each worker, by its number. */
  pids(): Map<number, number>
  /** Waits until the newest process of each worker listens. */
  allListen(): Promise<void>
}

/** Starts a supervisor with its workers, and waits until all of them listen and one is ready. */
export async function serveWorkers(scope: Scope, env: Record<string, string>): Promise<ServedWorkers> {
  const { command, http, ws } = await serveReady({ WORKERS: '2', ...env })
  return { http, ws, ...watch(scope, command) }
}

/** Starts a supervisor with its workers on a free port, and waits for nothing. */
export const startWorkers = (scope: Scope, env: Record<string, string>): WatchedWorkers =>
  watch(scope, new Command(['serve'], { env: { LISTEN_ADDR: '127.0.0.1:0', WORKERS: '2', ...env } }))

function watch(scope: Scope, command: Command): WatchedWorkers {
  const events = (event: string): Line[] =>
    command.lines.filter((line) => line.includes(`"event":"${event}"`)).map((line) => JSON.parse(line) as Line)
  const pids = () => new Map(events('worker-start').map(({ worker, pid }) => [Number(worker), Number(pid)]))
  // A test that fails leaves no process behind: the workers of a killed supervisor would drain.
  atEnd(scope, () => {
    command.signal('SIGKILL')
    for (const { pid } of events('worker-start')) killPid(Number(pid))
  })
  const allListen = async () => {
    const isListening = () => {
      const listening = new Set(events('worker-listening').map(({ pid }) => pid))
      return [...pids().values()].every((pid) => listening.has(pid))
    }
    await eventually(isListening, 'all workers to listen')
  }
  return { command, events, pids, allListen }
}

/** Opens sockets of one session; the kernel spreads them over the workers. */
export async function joinAll(
  agent: Client,
  ws: string,
  session: string,
  count: number,
  options: ConnectClientOptions = {},
): Promise<TestClient[]> {
  await agent.set(sessionAuth(session), 'token')
  const url = `${ws}/agent/ws/${session}`
  return Promise.all(Array.from({ length: count }, () => connect(url, { token: 'token', ...options })))
}

/** Closes the sockets of a session as an operator does, and expects that these are all of it. */
export async function assertDisconnected(
  clients: readonly TestClient[],
  session: string,
  gateway: string,
  adminToken: string,
): Promise<void> {
  const options = { env: { ADMIN_TOKEN: adminToken } }
  const { stdout, stderr } = await run(['disconnect', '--session', session, '--gateway', gateway], options)
  assert.match(stdout, new RegExp(`\\b${clients.length}\\b`), stderr)
  for (const client of clients) assert.equal((await within(client.closed, 'the close')).code, 4403)
}

function killPid(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}

/** Whether a process of this id runs. */
export function runs(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
