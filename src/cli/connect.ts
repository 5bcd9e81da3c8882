import { createInterface, type Interface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { clientToken } from '../config/env.ts'
import { refusals } from '../contract/codes.ts'
import { isLoopbackHost } from '../platform/address.ts'
import { printable } from '../platform/printable.ts'
import { reasonOf } from '../platform/reason.ts'
import { doorAt } from './dialled.ts'
import { closeOf, type Ending, failureOf, hintOf, mayReconnect, refusalOf, sessionOf } from './ending.ts'
import { CommandFailed, Misused } from './failure.ts'
import { FramePrinter } from './frames.ts'
import { NumberedClient } from './numbered.ts'
import { AgentWatch } from './unheard.ts'

export interface ConnectOptions {
  readonly token?: string
  readonly origin?: string
  readonly closeOnEof: boolean
  readonly reconnect: boolean
  /** Speak `wsproxy.v2`, and come back behind the newest message. */
  readonly resume: boolean
  readonly createToken: boolean
}

const NORMAL = new Set([1000, 1001])
/** The pause before the first attempt to reconnect without a hint; it doubles with each failure. */
const FIRST_PAUSE_MS = 500
const MAX_PAUSE_MS = 30_000
/** Life of a token of `createToken`, which is used at once. */
const CREATED_TOKEN_MS = 60_000
/** The heartbeat of the run door, which closes a socket that does not answer. */
const PING = '{"type":"ping"}'
const PONG = '{"type":"pong"}'

/**
 * A client on the command line. Each frame becomes a line on stdout, each line of stdin a frame;
 * messages about the connection go to stderr. Resolves when the socket closes with 1000 or 1001, or
 * when the user ends it. With `reconnect` it comes back when the server says so, else after a pause
 * that doubles, until an end that a second attempt would repeat.
 * @throws CommandFailed for a refused upgrade (with status and body) and for any other close.
 */
export async function connect(url: string, options: ConnectOptions): Promise<void> {
  // Overwrites the arguments in the list of processes, where every user can read --token.
  process.title = 'wsproxy connect'
  if (!/^wss?:\/\//.test(url) || !URL.canParse(url)) throw new Misused(`${url} is not a ws:// or wss:// address`)
  if (options.createToken && sessionOf(new URL(url)) === undefined)
    throw new Misused(`--create-token needs the address of a session, /{agent}/ws/{session}; ${url} is none`)
  if (options.resume && sessionOf(new URL(url)) === undefined)
    throw new Misused(`--resume needs the address of a session, /{agent}/ws/{session}; ${url} is none`)
  await new TerminalClient(new URL(url), options).run()
}

class TerminalClient {
  readonly #url: URL
  readonly #options: ConnectOptions
  readonly #printer = new FramePrinter()
  readonly #left = new AbortController()
  /** Set with `resume`. */
  readonly #numbered: NumberedClient | undefined
  #socket: WebSocket | undefined
  #input: Interface | undefined
  /** Lines of stdin that came while no socket was open. */
  #waiting: string[] = []
  #pauseMs = FIRST_PAUSE_MS
  /** Set for a session of a gateway on this machine, whose Redis can be asked. */
  readonly #agents: AgentWatch | undefined

  constructor(url: URL, options: ConnectOptions) {
    this.#url = url
    this.#options = options
    if (options.resume) this.#numbered = new NumberedClient()
    const session = sessionOf(url)
    if (session !== undefined && isLoopbackHost(url.host)) this.#agents = new AgentWatch(session)
  }

  async run(): Promise<void> {
    process.once('SIGINT', this.#leave)
    try {
      for (;;) {
        const ending = await this.#attempt()
        if (this.#isOver(ending)) return
        await this.#pauseAfter(ending)
      }
    } catch (error) {
      if (!this.#left.signal.aborted) throw error
    } finally {
      process.removeListener('SIGINT', this.#leave)
      this.#input?.close()
      process.stdin.destroy()
    }
  }

  readonly #leave = (): void => {
    this.#left.abort()
    this.#socket?.close(1000)
  }

  /** The token of the next attempt: a new one each time with `createToken`. */
  async #token(): Promise<string | undefined> {
    if (!this.#options.createToken) return this.#options.token ?? clientToken()
    return (await import('./token.ts')).newToken(sessionOf(this.#url)!, CREATED_TOKEN_MS)
  }

  /**
   * Takes the resume ticket or a token, opens one socket, and resolves when that has ended. When
   * the ticket is refused it takes a token at once.
   */
  async #attempt(): Promise<Ending> {
    try {
      const ticket = this.#numbered?.ticketAt(performance.now())
      const ending = await this.#follow(ticket ?? (await this.#token()))
      if (ticket === undefined || ending.kind !== 'closed' || ending.code !== refusals['token-rejected'].close)
        return ending
      this.#numbered?.forgetTicket()
      return await this.#follow(await this.#token())
    } catch (error) {
      // Redis may be away as well, and both come back.
      if (!this.#comesBack || this.#left.signal.aborted || !(error instanceof CommandFailed)) throw error
      return { kind: 'failed', text: reasonOf(error), advice: '' }
    }
  }

  get #comesBack(): boolean {
    return this.#options.reconnect || this.#options.resume
  }

  #follow(token: string | undefined): Promise<Ending> {
    const { origin } = this.#options
    const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` }
    const url = this.#numbered?.urlFrom(this.#url) ?? this.#url
    const protocols = this.#numbered ? ['wsproxy.v2'] : []
    const socket = new WebSocket(url, protocols, { headers, ...(origin && { origin }) })
    this.#socket = socket
    let afterMs: number | undefined
    socket.on('open', () => this.#opened(socket))
    socket.on('message', (data) => {
      const frame = data.toString()
      afterMs = hintOf(frame) ?? afterMs
      this.#received(socket, frame)
    })
    return new Promise((resolve) => {
      socket.on('close', (code, bytes) => {
        resolve(closeOf(code, bytes.toString(), afterMs, this.#url))
      })
      socket.on('error', (error) => resolve(failureOf(error, this.#url)))
      socket.on('unexpected-response', (_, response) => {
        const failed = (error: Error) => failureOf(error, this.#url)
        void refusalOf(response, this.#url).catch(failed).then(resolve)
      })
    })
  }

  #opened(socket: WebSocket): void {
    this.#pauseMs = FIRST_PAUSE_MS
    this.#printer.note(`connected to ${this.#url.href} (${doorAt(this.#url)})`)
    for (const line of this.#waiting.splice(0)) this.#send(socket, line)
    // Opened late: readline drops lines that arrive before a listener exists.
    if (this.#input) this.#input.resume()
    else this.#readInput()
  }

  #readInput(): void {
    const onTerminal = process.stdin.isTTY && this.#printer.onTerminal
    const input = createInterface({ input: process.stdin, ...(onTerminal && { output: process.stdout }) })
    this.#input = input
    input.on('line', (line) => {
      if (line === '') input.prompt()
      else if (this.#socket?.readyState === WebSocket.OPEN) this.#send(this.#socket, line)
      else this.#waiting.push(line)
    })
    input.on('close', () => (process.stdin.isTTY || this.#options.closeOnEof) && this.#leave())
    // In its raw mode readline gets Ctrl-C as a character, and the process gets no signal.
    input.on('SIGINT', this.#leave)
    if (onTerminal) this.#printer.promptWith(input)
  }

  #send(socket: WebSocket, line: string): void {
    socket.send(line)
    this.#printer.sent(line)
    if (sessionOf(this.#url) !== undefined && !isFrame(line))
      this.#printer.note(`that is not JSON, which sessions want: type ${JSON.stringify({ text: line })}`)
    void this.#agents?.check().then((problem) => problem !== undefined && this.#printer.note(problem))
  }

  #received(socket: WebSocket, frame: string): void {
    if (this.#numbered) {
      const { message, note } = this.#numbered.read(frame)
      if (message !== undefined) this.#printer.received(message)
      else if (note !== undefined) this.#printer.note(note)
      return
    }
    const isHeartbeat = frame === PING && sessionOf(this.#url) === undefined
    if (isHeartbeat) socket.send(PONG)
    // On a terminal a line every few seconds would push away what the user reads.
    if (!isHeartbeat || !this.#printer.onTerminal) this.#printer.received(frame)
  }

  /** Prints how the connection ended. @throws CommandFailed when it failed and this is the end. */
  #isOver(ending: Ending): boolean {
    const hasLeft = this.#left.signal.aborted
    const again = this.#comesBack && mayReconnect(ending) && !hasLeft
    const text = `${ending.text}${again || hasLeft ? '' : ending.advice}`
    if (ending.kind === 'closed' || again) this.#printer.note(text)
    if (again) return false
    if (hasLeft || (ending.kind === 'closed' && NORMAL.has(ending.code))) return true
    throw new CommandFailed(
      ending.kind === 'closed' ? `the connection ended abnormally, with close code ${ending.code}` : printable(text),
    )
  }

  /** Waits as long as the server asked for, else with a random part, so that clients spread. */
  async #pauseAfter({ afterMs }: Ending): Promise<void> {
    this.#input?.pause()
    const ms = Math.round(afterMs ?? this.#pauseMs * (0.5 + Math.random() / 2))
    this.#pauseMs = Math.min(2 * this.#pauseMs, MAX_PAUSE_MS)
    this.#printer.note(`reconnecting in ${ms} ms${afterMs === undefined ? '' : ', as the server asked'}`)
    await pause(ms, undefined, { signal: this.#left.signal })
  }
}

/** Whether a session takes this line: JSON, or with `--resume` JSON behind a number. */
function isFrame(line: string): boolean {
  try {
    JSON.parse(line.replace(/^\d+ /, ''))
    return true
  } catch {
    return false
  }
}
