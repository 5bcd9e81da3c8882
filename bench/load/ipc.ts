/** Requests and answers between the bench and its forked processes, over Node's own IPC channel. */
import type { ChildProcess } from 'node:child_process'
import { withDeadline } from './clock.ts'

/** The commands of a forked process: one argument in, one answer out, both plain JSON. */
export type Commands = Record<string, (argument: never) => unknown>

interface Question {
  id: number
  name: string
  argument: unknown
}

interface Answer {
  id: number
  result?: unknown
  error?: string
}

/** Answers the parent's requests with `commands`. Ends this process when the parent is gone. */
export function serve(commands: Commands): void {
  process.on('message', async ({ id, name, argument }: Question) => {
    const answer: Answer = { id }
    try {
      answer.result = await commands[name]!(argument as never)
    } catch (error) {
      answer.error = error instanceof Error ? error.message : String(error)
    }
    process.send?.(answer)
  })
  process.on('disconnect', () => process.exit(0))
  process.on('SIGINT', () => {}) // Ctrl-C reaches the whole process group; the parent decides
}

/** The parent's end of a forked process that runs `serve` with commands of type `C`. */
export class Remote<C extends Commands> {
  readonly #child: ChildProcess
  readonly #name: string
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>()
  #lastId = 0

  constructor(child: ChildProcess, name: string) {
    this.#child = child
    this.#name = name
    child.on('message', (answer) => this.#settle(answer as Answer))
    child.on('exit', (code, signal) => this.#failAll(`ended (${signal ?? code})`))
  }

  /**
   * Resolves with the process' answer. Rejects with its error, when it ends, or after `deadlineMs`.
   */
  call<K extends keyof C & string>(
    name: K,
    argument: Parameters<C[K]>[0],
    deadlineMs: number,
  ): Promise<Awaited<ReturnType<C[K]>>> {
    const id = ++this.#lastId
    const answer = new Promise<unknown>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#child.send({ id, name, argument } satisfies Question, (error) => error && reject(error))
    })
    const bounded = withDeadline(answer, deadlineMs, `${this.#name} ${name}`)
    return bounded.finally(() => this.#waiting.delete(id)) as Promise<Awaited<ReturnType<C[K]>>>
  }

  #settle({ id, result, error }: Answer): void {
    const waiting = this.#waiting.get(id)
    if (error === undefined) waiting?.resolve(result)
    else waiting?.reject(new Error(`${this.#name}: ${error}`))
  }

  #failAll(why: string): void {
    for (const { reject } of this.#waiting.values()) reject(new Error(`${this.#name} ${why}`))
  }
}
