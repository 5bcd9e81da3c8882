/**
 * The attacking process of the bench: clients that send more than they may. Each comes back as soon
 * as the gateway closes or refuses it. It is a process of its own, so it stops nothing that
 * measures.
 */
import { connect, type Socket } from 'node:net'
import { type Door, upgradeRequest } from './client.ts'
import { sleep } from './clock.ts'
import { DIALECTS } from './dialects.ts'
import { clientTextFrame } from './frames.ts'
import { serve } from './ipc.ts'
import { sessionToken } from './sessions.ts'

/** After a close or a refusal; without a pause a refused client would only measure refusals. */
const AGAIN_MS = 20
const FRAMES_AT_ONCE = 500

export interface Attacked {
  /** Upgrades that the gateway answered with 101, and those that it refused. */
  opened: number
  refused: number
  sentMb: number
}

const attacked: Attacked = { opened: 0, refused: 0, sentMb: 0 }
let over = false

/** Connects, attacks with `send` until the connection ends, and connects to the next door. */
async function attackAgain(nextDoor: () => Door, send: (socket: Socket) => Promise<void>): Promise<void> {
  while (!over) {
    const door = nextDoor()
    const socket = connect({ host: '127.0.0.1', port: door.port, noDelay: true })
    socket.on('error', () => {})
    const answer = new Promise<string>((resolve) => {
      socket.once('data', (bytes) => resolve(bytes.toString('latin1')))
      socket.once('close', () => resolve(''))
    })
    socket.write(upgradeRequest(door))
    const isOpen = (await answer).startsWith('HTTP/1.1 101')
    if (isOpen) attacked.opened++
    else attacked.refused++
    socket.resume()
    if (isOpen) await send(socket)
    socket.destroy()
    await sleep(AGAIN_MS)
  }
}

/** Writes the bytes, and waits until the kernel has them or the connection has ended. */
async function pour(socket: Socket, bytes: Uint8Array): Promise<void> {
  attacked.sentMb += bytes.length / 1e6
  if (socket.write(bytes)) return
  await new Promise<void>((resolve) => {
    const done = () => {
      socket.off('drain', done).off('close', done)
      resolve()
    }
    socket.once('drain', done).once('close', done)
  })
}

/** Arrays in arrays: `bytes` of opening brackets, then of closing ones. Its mask is 0. */
function deepFrame(bytes: number): Buffer {
  const head = Buffer.alloc(14)
  head.set([0x81, 0x80 | 127])
  head.writeUInt32BE(bytes, 6)
  return Buffer.concat([head, Buffer.alloc(bytes / 2, '['), Buffer.alloc(bytes / 2, ']')])
}

const commands = {
  /** Clients of the live door send frames of one byte as fast as the gateway takes them. */
  flood: ({ port, count }: { port: number; count: number }) => {
    const bytes = Buffer.concat(Array.from({ length: FRAMES_AT_ONCE }, () => clientTextFrame('1')))
    const send = async (socket: Socket) => {
      while (!over && !socket.destroyed) {
        await pour(socket, bytes)
        await new Promise(setImmediate)
      }
    }
    for (let n = 0; n < count; n++) void attackAgain(() => ({ port, path: '/live', token: 'not-asked-for' }), send)
  },

  /**
   * A client of one session sends deeply nested JSON. Each time that it comes back it takes the
   * next session, because tokens are used up.
   */
  deepJson: ({ port, first, perSecond, bytes }: { port: number; first: number; perSecond: number; bytes: number }) => {
    const frame = deepFrame(bytes)
    let next = first
    const nextDoor = () => {
      const session = next++
      return { port, path: DIALECTS.plain.path(session), token: sessionToken(session) }
    }
    const send = async (socket: Socket) => {
      while (!over && !socket.destroyed) {
        await pour(socket, frame)
        await sleep(1000 / perSecond)
      }
    }
    void attackAgain(nextDoor, send)
  },

  stop: (_: object): Attacked => {
    over = true
    return attacked
  },
}

export type AttackerCommands = typeof commands

serve(commands)
