import { createInterface } from 'node:readline'
import { WebSocket } from 'ws'
import { clientToken } from '../config/env.ts'
import { CommandFailed, Misused } from './failure.ts'

export interface ConnectOptions {
  readonly token?: string
  readonly origin?: string
  readonly closeOnEof: boolean
}

const NORMAL = new Set([1000, 1001])

/**
 * A client on the command line. Each frame becomes a line on stdout, each line of stdin a frame;
 * messages about the connection go to stderr. Resolves when the socket closes with 1000 or 1001, or
 * when the user ends it.
 * @throws CommandFailed for a refused upgrade (with status and body) and for any other close.
 */
export async function connect(url: string, options: ConnectOptions): Promise<void> {
  if (!/^wss?:\/\//.test(url) || !URL.canParse(url)) throw new Misused(`${url} is not a ws:// or wss:// address`)
  const token = options.token ?? clientToken()
  const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` }
  const socket = new WebSocket(url, { headers, ...(options.origin && { origin: options.origin }) })
  let userLeft = false
  const leave = () => {
    userLeft = true
    socket.close(1000)
  }
  process.once('SIGINT', leave)
  socket.on('open', () => {
    console.error(`connected to ${url}`)
    // Opened late: readline drops lines that arrive before a listener exists.
    const input = createInterface({ input: process.stdin })
    input.on('line', (line) => line !== '' && socket.send(line))
    input.on('close', () => (process.stdin.isTTY || options.closeOnEof) && leave())
  })
  socket.on('message', (data) => console.log(printable(data.toString())))
  try {
    const { code, reason } = await ended(socket)
    console.error(`closed: ${code}${reason && ` ${printable(reason)}`}`)
    if (!userLeft && !NORMAL.has(code))
      throw new CommandFailed(`the connection ended abnormally, with close code ${code}`)
  } catch (error) {
    // Ctrl-C before the connection opens is not a failure.
    if (!userLeft) throw error
  } finally {
    process.removeListener('SIGINT', leave)
    process.stdin.destroy()
  }
}

/**
 * Returns text of the server as one line that cannot steer the terminal: without control characters
 * (C0 except the tab, DEL, C1), and with a space for each line break. JSON that an encoder wrote
 * stays the same JSON: it holds line breaks only between its parts, and other C0 characters never.
 */
function printable(text: string): string {
  return text.replace(/\r\n|[\r\n]/g, ' ').replace(CONTROL, '')
}
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to remove.
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g

function ended(socket: WebSocket): Promise<{ code: number; reason: string }> {
  return new Promise((resolve, reject) => {
    socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }))
    socket.on('error', (error) => reject(new CommandFailed(printable(error.message))))
    socket.on('unexpected-response', (_, response) => {
      let body = ''
      response.on('data', (chunk) => (body += chunk))
      response.on('end', () => {
        const wait = response.headers['retry-after']
        const after = wait === undefined ? '' : ` (Retry-After: ${wait})`
        const answer = `${response.statusCode} ${response.statusMessage}${after} ${body}`
        reject(new CommandFailed(`refused: ${printable(answer)}`))
      })
    })
  })
}
