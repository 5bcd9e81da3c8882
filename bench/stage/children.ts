/**
 * The processes that the bench starts. Each keeps the tail of its output for error messages, and is
 * ended by its own pid.
 */
import { type ChildProcess, execFileSync, fork, spawn } from 'node:child_process'
import { setPriority } from 'node:os'
import { fileURLToPath } from 'node:url'
import { familyOf } from './procfs.ts'

const TAIL_CHARACTERS = 1000
const TERM_MS = 2000

const living = new Set<Child>()
process.on('exit', () => {
  for (const child of living) child.kill()
})

export class Child {
  readonly name: string
  readonly process: ChildProcess
  readonly exited: Promise<void>
  #tail = ''

  constructor(name: string, child: ChildProcess) {
    this.name = name
    this.process = child
    living.add(this)
    for (const output of [child.stdout, child.stderr]) output?.on('data', (bytes) => this.#keep(bytes))
    this.exited = new Promise((resolve) => {
      const over = () => {
        living.delete(this)
        resolve()
      }
      child.once('exit', over)
      child.once('error', (error) => {
        this.#keep(error.message)
        if (child.pid === undefined) over()
      })
    })
  }

  get pid(): number {
    return this.process.pid ?? 0
  }

  get running(): boolean {
    return living.has(this)
  }

  /** The tail of the process' output. */
  get tail(): string {
    return this.#tail.trim()
  }

  /**
   * Ends the process: SIGTERM, then SIGKILL after 2 s; or SIGKILL at once when its last output does
   * not matter.
   */
  async end(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    if (!this.running) return
    if (signal === 'SIGKILL') this.kill()
    else this.process.kill(signal)
    const late = setTimeout(() => this.kill(), TERM_MS)
    await this.exited
    clearTimeout(late)
  }

  /** From now on it runs only where nothing else wants to, or at the lowest priority. */
  takeTimeThatIsLeft(): void {
    try {
      execFileSync('chrt', ['--all-tasks', '--idle', '--pid', '0', String(this.pid)])
    } catch {
      setPriority(this.pid, 19)
    }
  }

  /** Kills it and its descendants at once: nginx's workers outlive their master. */
  kill(): void {
    for (const pid of family(this.pid)) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {} // it has already ended
    }
  }

  #keep(bytes: Buffer | string): void {
    this.#tail = (this.#tail + String(bytes)).slice(-TAIL_CHARACTERS)
  }
}

function family(pid: number): number[] {
  try {
    return familyOf(pid)
  } catch {
    return pid > 0 ? [pid] : []
  }
}

export function spawnChild(name: string, command: string, args: string[], env?: NodeJS.ProcessEnv): Child {
  return new Child(name, spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...(env && { env }) }))
}

/**
 * The generator must not collect garbage while it measures. So it has room for young objects (in
 * MB), and collects before the measurement on request. By itself V8 stopped a receiver of 10,000
 * sockets for 30 to 50 ms some seconds after they had connected, which made up the whole p99.9 of
 * the subject.
 */
const GENERATOR_FLAGS = [
  ...['--min-semi-space-size=64', '--max-semi-space-size=64'],
  ...['--expose-gc', '--no-memory-reducer', '--no-minor-gc-task'],
]

/** Forks a compiled file of the bench. Its stderr is shown. */
export function forkChild(name: string, file: URL): Child {
  const stdio = ['ignore', 'ignore', 'inherit', 'ipc'] as const
  return new Child(name, fork(fileURLToPath(file), { execArgv: GENERATOR_FLAGS, stdio: [...stdio] }))
}
