/**
 * The process of the bench whose sockets all expire in one second. It is a process of its own, so
 * it stops nothing that measures.
 */
import { connect, type Socket } from 'node:net'
import { upgradeRequest } from './client.ts'
import { DIALECTS } from './dialects.ts'
import { serve } from './ipc.ts'
import { jwtOf } from './jwts.ts'

const IN_FLIGHT = 100

export interface Expired {
  opened: number
  /** Sockets that got the notice, and those that were closed with `expired` behind it. */
  noticed: number
  closed: number
  /** From `exp` to the last close. */
  lastCloseMs: number
}

const expired: Expired = { opened: 0, noticed: 0, closed: 0, lastCloseMs: 0 }
const sockets: Socket[] = []

/** Resolves when the upgrade was answered. */
function open(port: number, session: number, exp: number): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true })
    sockets.push(socket)
    let isNoticed = false
    socket.on('error', () => resolve())
    socket.on('data', (bytes) => {
      const text = bytes.toString('latin1')
      if (text.startsWith('HTTP/1.1 101')) expired.opened++
      resolve()
      if (!isNoticed && text.includes('"auth_expiring"')) {
        isNoticed = true
        expired.noticed++
      }
      if (!isNoticed || !text.includes('expired retry=0')) return
      expired.closed++
      expired.lastCloseMs = Date.now() - exp * 1000
      socket.destroy()
    })
    socket.write(upgradeRequest({ port, path: DIALECTS.plain.path(session), token: jwtOf(session, exp) }))
  })
}

const commands = {
  /** Opens sockets of JWTs that all end at `exp`, in seconds since the epoch, and counts anew. */
  connect: async ({ port, first, count, exp }: { port: number; first: number; count: number; exp: number }) => {
    Object.assign(expired, { opened: 0, noticed: 0, closed: 0, lastCloseMs: 0 })
    let next = first
    const worker = async () => {
      while (next < first + count) await open(port, next++, exp)
    }
    await Promise.all(Array.from({ length: IN_FLIGHT }, worker))
    return expired
  },

  stop: (_: object): Expired => {
    for (const socket of sockets) socket.destroy()
    return expired
  },
}

export type ExpiringCommands = typeof commands

serve(commands)
