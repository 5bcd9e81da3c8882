/** Starts the program under test as a process of its own and waits until it is ready. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Place, Subject } from '../subject.ts'
import { type Child, spawnChild } from './children.ts'
import { acceptsConnections, freePort, whenReady } from './ports.ts'

/** A subject is ready in well under a second, unless the machine is busy with other work. */
const READY_MS = 30_000
const HEALTH_MS = 1000

export interface StartedSubject {
  child: Child
  port: number
}

/**
 * Starts the subject with a fresh environment, so that the shell's settings do not change the
 * measurement. `again` is the port of an earlier process to reuse.
 */
export async function startSubject(subject: Subject, redisUrl: string, again?: number): Promise<StartedSubject> {
  const port = again ?? (await freePort())
  const address = { REDIS_URL: redisUrl, LISTEN_ADDR: `127.0.0.1:${port}` }
  const env = { PATH: process.env.PATH, NODE_ENV: 'production', LOG_LEVEL: 'warn', ...subject.env, ...address }
  const dir = subject.program && ownFolder()
  const [command, args] = commandOf(subject, { port, redisPort: Number(new URL(redisUrl).port), dir: dir ?? '' })
  const child = spawnChild(subject.name, command, args, env)
  if (dir) child.exited.then(() => remove(dir))
  const isReady = () => (subject.ready === 'health' ? isHealthy(port) : acceptsConnections(port))
  try {
    await whenReady(child, isReady, READY_MS)
  } catch (error) {
    await child.end()
    throw error
  }
  return { child, port }
}

function commandOf({ file, flags = [], args = [], program }: Subject, place: Place): [string, string[]] {
  if (!program) return [process.execPath, [...flags, fileURLToPath(file!), ...args]]
  const { command, args: its, files } = program(place)
  for (const [name, text] of Object.entries(files)) writeFileSync(join(place.dir, name), text)
  return [command, its]
}

const folders = new Set<string>()
process.once('exit', () => folders.forEach(remove))

function ownFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'wsproxy-bench-'))
  folders.add(dir)
  return dir
}

function remove(dir: string): void {
  folders.delete(dir)
  rmSync(dir, { recursive: true, force: true })
}

async function isHealthy(port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/health`, { signal: AbortSignal.timeout(HEALTH_MS) })
    await response.arrayBuffer()
    return response.ok
  } catch {
    return false
  }
}
