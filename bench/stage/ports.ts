/** TCP ports of 127.0.0.1: finds a free one, and waits until a program listens. */
import { connect, createServer } from 'node:net'
import { sleep } from '../load/clock.ts'
import type { Child } from './children.ts'

const POLL_MS = 5

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}

export function acceptsConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

/**
 * Polls until `isReady`. Throws with the tail of the child's output when it ends before that or
 * `deadlineMs` have passed.
 */
export async function whenReady(child: Child, isReady: () => Promise<boolean>, deadlineMs: number): Promise<void> {
  const deadline = performance.now() + deadlineMs
  while (!(await isReady())) {
    if (!child.running) throw new Error(`${child.name} has ended: ${child.tail}`)
    if (performance.now() > deadline)
      throw new Error(`${child.name} is not ready after ${deadlineMs} ms: ${child.tail}`)
    await sleep(POLL_MS)
  }
}
