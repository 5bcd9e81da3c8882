import { WebSocket } from 'ws'
import { type Session, type SocketClass, session } from '../../client/src/index.ts'

/** What the test asks of a share of the clients, in a process of its own. */
export type Order =
  | { readonly what: 'open'; readonly ids: readonly string[]; readonly tokens: readonly string[] }
  /** From now on the balancer leads to this port. */
  | { readonly what: 'switch'; readonly port: number }
  | { readonly what: 'report' }

/** What all clients of a share have got so far. */
export interface Report {
  readonly open: number
  readonly got: number
  readonly doubled: number
  readonly skipped: number
  readonly gaps: number
  /** When each of them dialled after the switch. */
  readonly cameAt: readonly number[]
  /** When they had to, by the pause behind the close: a busy process fires its timers late. */
  readonly dueAt: readonly number[]
}

/** What one client has got: the messages arrive in order, and each one once. */
interface Reader {
  readonly chat: Session
  got: number
}

let port = Number(process.argv[2])
let isSwitched = false
const readers: Reader[] = []
const count = { doubled: 0, skipped: 0, gaps: 0 }
const cameAt = new Map<Reader, number>()
const dueAt = new Map<Reader, number>()

// Stands in for a load balancer, which would need two sockets more for each client.
const Balanced = new Proxy(WebSocket, {
  construct: (Class, [url, protocols]) => new Class(String(url).replace('balancer', `127.0.0.1:${port}`), protocols),
}) as unknown as SocketClass

function open(id: string, token: string): void {
  const options = { agent: 'agent-1', id, token: () => token, from: 'start', storage: null, WebSocket: Balanced }
  const reader: Reader = { chat: session('ws://balancer', options), got: 0 }
  const { chat } = reader
  chat.on('gap', () => count.gaps++)
  chat.on('state', (state) => {
    if (!isSwitched || cameAt.has(reader)) return
    if (state.name === 'connecting') cameAt.set(reader, Date.now())
    if (state.name === 'waiting') dueAt.set(reader, Date.now() + state.ms)
  })
  chat.on('message', ({ data }) => {
    if (data.n <= reader.got) count.doubled++
    else count.skipped += data.n - reader.got - 1
    reader.got = Math.max(reader.got, data.n)
  })
  readers.push(reader)
}

function report(): Report {
  return {
    open: readers.filter(({ chat }) => chat.state.name === 'open').length,
    got: readers.reduce((sum, { got }) => sum + got, 0),
    ...count,
    cameAt: [...cameAt.values()],
    dueAt: [...dueAt.values()],
  }
}

process.on('message', (order: Order) => {
  if (order.what === 'open') order.ids.forEach((id, i) => void open(id, order.tokens[i]!))
  else if (order.what === 'switch') {
    port = order.port
    isSwitched = true
  } else process.send!(report())
})
process.on('disconnect', () => process.exit())
