import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { killAtExit } from './processes.ts'
import { AMPLE_CHECK_TIMEOUT, eventually, within } from './wait.ts'

const COMPILED = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))
/**
 * The arguments of Node that start a gateway: the joined one, which scripts/run.mjs makes. A test
 * file that is run alone, with "node --test", starts the compiled modules.
 */
export const GATEWAY: readonly string[] = JSON.parse(process.env.TEST_GATEWAY ?? JSON.stringify([COMPILED]))

const running = new Set<ChildProcess>()

export interface CommandOptions {
  /** The whole environment apart from PATH. The command does not inherit that of this process. */
  readonly env?: Record<string, string>
  /** All of stdin. Without it stdin stays open. */
  readonly input?: string
  /**
   * Run on a terminal of 80 columns with colours: `stdout` is what it shows, stdin is the keyboard.
   */
  readonly terminal?: boolean
}

/** For `{ skip }`: false where `script` can make a terminal, else the reason to skip. */
export const withoutTerminal: string | false =
  spawnSync('script', ['-qec', 'true', '/dev/null'], { stdio: 'ignore' }).status === 0
    ? false
    : 'needs script (util-linux)'

const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`

/** The command line that runs words on a terminal. */
const onTerminal = (words: readonly string[]): [string, string[]] => [
  'script',
  ['-qefc', `stty cols 80; exec ${words.map(quoted).join(' ')}`, '/dev/null'],
]

/** One run of `wsproxy`, with all of its output so far. */
export class Command {
  readonly child: ChildProcess
  stdout = ''
  stderr = ''
  /** The exit status; null when a signal ended the process. */
  readonly exited: Promise<number | null>

  constructor(args: readonly string[], { env = {}, input, terminal = false }: CommandOptions = {}) {
    const words = [...GATEWAY, ...args]
    const [file, rest] = terminal ? onTerminal([process.execPath, ...words]) : [process.execPath, words]
    const all = { PATH: process.env.PATH, ...(terminal && { TERM: 'xterm-256color', SHELL: '/bin/sh' }), ...env }
    this.child = killAtExit(spawn(file, rest, { env: all }))
    running.add(this.child)
    this.child.stdout?.on('data', (chunk) => {
      this.stdout += chunk
    })
    this.child.stderr?.on('data', (chunk) => {
      this.stderr += chunk
    })
    this.child.stdin?.on('error', () => {})
    if (input !== undefined) this.child.stdin?.end(input)
    this.exited = once(this.child, 'close').then(([code]) => {
      running.delete(this.child)
      return code
    })
  }

  write(line: string): void {
    this.child.stdin?.write(`${line}\n`)
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name)
  }

  get lines(): string[] {
    return this.stdout.split('\n').slice(0, -1)
  }

  get complaints(): string[] {
    return this.stderr.split('\n').filter(Boolean)
  }

  /** Waits for the first match on stderr. @throws when the command ends without it. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#find(pattern, () => this.stderr)
  }

  /** Waits for the first match on stdout. @throws when the command ends without it. */
  async prints(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#find(pattern, () => this.stdout)
  }

  async status(): Promise<number | null> {
    return within(this.exited, 'the end of the command').catch((cause) => {
      throw new Error(`the command did not end; its output: ${this.stdout}${this.stderr}`, { cause })
    })
  }

  async #find(pattern: RegExp, text: () => string): Promise<RegExpExecArray> {
    let ended = false
    void this.exited.then(() => {
      ended = true
    })
    await eventually(() => ended || pattern.test(text()), `${pattern} (so far: ${this.stdout}${this.stderr})`)
    const found = pattern.exec(text())
    if (found) return found
    throw new Error(`the command ended without ${pattern}: ${this.stdout}${this.stderr}`)
  }
}

/** Runs a command to its end. */
export async function run(args: readonly string[], options: CommandOptions = {}) {
  const command = new Command(args, { input: '', ...options })
  const status = await command.status()
  return { status, stdout: command.stdout, stderr: command.stderr, complaints: command.complaints }
}

/** Kills the commands of this test file that still run, and waits for their end. */
export async function killCommands(): Promise<void> {
  const left = [...running]
  for (const child of left) child.kill('SIGKILL')
  await Promise.all(left.map((child) => child.exitCode ?? child.signalCode ?? once(child, 'close')))
}

/** Waits until `wsproxy serve` listens. Returns its port. */
export async function listeningPort(command: Command): Promise<string> {
  const [, port] = await command.prints(/"event":"listening","host":"[^"]*","port":(\d+)/)
  return port!
}

/** Starts `wsproxy serve` on a free port and waits until it listens. */
export async function serve(env: Record<string, string>): Promise<{ command: Command; http: string; ws: string }> {
  const command = new Command(['serve'], {
    env: { LISTEN_ADDR: '127.0.0.1:0', PREFLIGHT_CHECK_TIMEOUT: AMPLE_CHECK_TIMEOUT, ...env },
  })
  const port = await listeningPort(command)
  return { command, http: `http://127.0.0.1:${port}`, ws: `ws://127.0.0.1:${port}` }
}

/** Waits until the gateway at `http` answers `/ready` with 200. */
export const untilReady = (http: string): Promise<unknown> =>
  eventually(async () => (await fetch(`${http}/ready`).catch(() => undefined))?.status === 200, 'readiness')

/** A gateway in a process of its own, ready. */
export async function serveReady(env: Record<string, string>): ReturnType<typeof serve> {
  const served = await serve(env)
  await untilReady(served.http)
  return served
}
