import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { type Case, cases, type NextVisit, type Visit } from './cases.ts'
import { Peer } from './peer.ts'

const FIRST_VISIT_MS = 20_000

/** Where a client under test connects. */
export interface Target {
  /** The address of the server, `ws://127.0.0.1:<port>`. */
  readonly url: string
  readonly agent: string
  readonly id: string
  /** A GET of this address answers with a new token. The client asks before each dial. */
  readonly tokenUrl: string
}

/** The outcome of a case; `problem` is undefined when the client did right. */
export interface Outcome {
  readonly name: string
  readonly problem: string | undefined
}

/** The dials of one client, in order. */
class Visits {
  readonly #came: Visit[] = []
  readonly #peers: Peer[] = []
  #wake: (() => void) | undefined

  add(visit: Visit): void {
    this.#came.push(visit)
    this.#peers.push(visit.peer)
    this.#wake?.()
  }

  /** Cuts every connection: the server that made them does not know them any more. */
  end(): void {
    for (const peer of this.#peers) peer.cut()
  }

  readonly next: NextVisit = async (withinMs = FIRST_VISIT_MS) => {
    if (this.#came.length === 0) {
      let timer: ReturnType<typeof setTimeout> | undefined
      await new Promise<void>((resolve) => {
        this.#wake = resolve
        timer = setTimeout(resolve, withinMs)
      })
      clearTimeout(timer)
    }
    const visit = this.#came.shift()
    if (!visit) throw new Error(`it did not dial within ${withinMs} ms`)
    return visit
  }
}

const offered = ({ headers }: IncomingMessage): string[] =>
  (headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim())

function tokenOf(request: IncomingMessage): string | undefined {
  const bearer = offered(request).find((name) => name.startsWith('bearer.'))
  if (bearer) return Buffer.from(bearer.slice('bearer.'.length), 'base64url').toString()
  return request.headers.authorization?.replace(/^Bearer /, '')
}

/** A server that plays each case to the client whose agent is the number of the case. */
function serve(visits: readonly Visits[]): Server {
  let tokens = 0
  const server = createServer((_, response) => response.end(`token-${++tokens}`))
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'ws://localhost')
    const [, number] = /^\/case-(\d+)\/ws\/conformance$/.exec(pathname) ?? []
    const own = visits[Number(number ?? -1)]
    if (!own || !offered(request).includes('wsproxy.v2')) {
      socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')
      return
    }
    const peer = new Peer(socket, head, request.headers['sec-websocket-key'] ?? '', 'wsproxy.v2')
    own.add({ atMs: Date.now(), token: tokenOf(request), cursor: searchParams.get('cursor') ?? undefined, peer })
  })
  return server
}

/**
 * Plays each case to a client of its own. `start` starts a client and returns a function that
 * stops it. At most `atOnce` clients run at a time.
 */
export async function conform(
  start: (target: Target) => () => void,
  atOnce = Number.POSITIVE_INFINITY,
  played = cases,
): Promise<Outcome[]> {
  const visits = played.map(() => new Visits())
  const server = serve(visits)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const outcomes: Outcome[] = []
  const left = [...played.entries()]

  async function play(index: number, { name, play, clients = 1 }: Case): Promise<Outcome> {
    const target = { url: `ws://${host}`, agent: `case-${index}`, id: 'conformance', tokenUrl: `http://${host}/token` }
    const stops = Array.from({ length: clients }, () => start(target))
    try {
      await play(visits[index]!.next)
      return { name, problem: undefined }
    } catch (error) {
      return { name, problem: error instanceof Error ? error.message : String(error) }
    } finally {
      for (const stop of stops) stop()
      visits[index]!.end()
    }
  }
  async function work(): Promise<void> {
    for (let each = left.shift(); each; each = left.shift()) outcomes[each[0]] = await play(...each)
  }
  try {
    await Promise.all(Array.from({ length: Math.min(atOnce, played.length) }, work))
  } finally {
    for (const each of visits) each.end()
    server.closeAllConnections()
    server.close()
  }
  return outcomes
}
