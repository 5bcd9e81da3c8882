/** Starts the program under test as a process of its own and waits until it is ready. */
import { fileURLToPath } from 'node:url'
import type { Subject } from '../subjects.ts'
import { type Child, spawnChild } from './children.ts'
import { acceptsConnections, freePort, whenReady } from './ports.ts'

const READY_MS = 10_000
const HEALTH_MS = 1000

export interface StartedSubject {
  child: Child
  port: number
}

/** The environment is made anew, so that settings of the shell do not change what is measured. `again`: on this port, where it was before. */
export async function startSubject(subject: Subject, redisUrl: string, again?: number): Promise<StartedSubject> {
  const port = again ?? (await freePort())
  const address = { REDIS_URL: redisUrl, LISTEN_ADDR: `127.0.0.1:${port}` }
  const env = { PATH: process.env.PATH, NODE_ENV: 'production', LOG_LEVEL: 'warn', ...subject.env, ...address }
  const child = spawnChild(subject.name, process.execPath, [fileURLToPath(subject.file), ...subject.args], env)
  const isReady = () => (subject.ready === 'health' ? isHealthy(port) : acceptsConnections(port))
  try {
    await whenReady(child, isReady, READY_MS)
  } catch (error) {
    await child.end('SIGKILL')
    throw error
  }
  return { child, port }
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
