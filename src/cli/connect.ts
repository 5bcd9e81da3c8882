import { createInterface } from 'node:readline'
import { WebSocket } from 'ws'
import { clientToken } from '../config/load.ts'
import { CommandFailed, Misused } from './failure.ts'

export interface ConnectOptions {
  readonly token?: string
  readonly origin?: string
  readonly closeOnEof: boolean
}

const NORMAL = new Set([1000, 1001])

/**
 * A client on the command line: each frame is a line on stdout, each line of stdin a frame; what is said about the connection goes to stderr.
 * Resolves when the socket has closed with 1000 or 1001, or when the user ended it.
 * @throws CommandFailed when the upgrade was refused, with status and body, or on any other close.
 */
export async function connect(url: string, options: ConnectOptions): Promise<void> {
  if (!/^wss?:\/\//.test(url) || !URL.canParse(url)) throw new Misused(`${url} is not a ws:// or wss:// address`)
  const token = options.token ?? clientToken()
  const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` }
  const socket = new WebSocket(url, { headers, ...(options.origin && { origin: options.origin }) })
  let ours = false
  const leave = () => {
    ours = true
    socket.close(1000)
  }
  process.once('SIGINT', leave)
  socket.on('open', () => {
    console.error(`connected to ${url}`)
    // Not before: lines that nobody listens to are lost.
    const input = createInterface({ input: process.stdin })
    input.on('line', (line) => line !== '' && socket.send(line))
    input.on('close', () => (process.stdin.isTTY || options.closeOnEof) && leave())
  })
  socket.on('message', (data) => console.log(data.toString()))
  try {
    const { code, reason } = await ended(socket)
    console.error(`closed: ${code}${reason && ` ${reason}`}`)
    if (!ours && !NORMAL.has(code)) throw new CommandFailed('the connection did not end normally')
  } catch (error) {
    // To leave before the connection is there is no failure.
    if (!ours) throw error
  } finally {
    process.removeListener('SIGINT', leave)
    process.stdin.destroy()
  }
}

function ended(socket: WebSocket): Promise<{ code: number; reason: string }> {
  return new Promise((resolve, reject) => {
    socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }))
    socket.on('error', (error) => reject(new CommandFailed(error.message)))
    socket.on('unexpected-response', (_, response) => {
      let body = ''
      response.on('data', (chunk) => (body += chunk))
      response.on('end', () => {
        const wait = response.headers['retry-after']
        const after = wait === undefined ? '' : ` (Retry-After: ${wait})`
        reject(new CommandFailed(`refused: ${response.statusCode} ${response.statusMessage}${after} ${body}`))
      })
    })
  })
}
