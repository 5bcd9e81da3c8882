import type { RedisConnection } from '../wire/connection.ts'
import { isReadOnly, isRefusedCommand, isReply } from '../wire/errors.ts'
import type { Reply } from '../wire/values.ts'

/**
 * The server is not the master. A replica takes no write, and a message that is published on it
 * reaches only the subscribers of that replica.
 */
export class NotMaster extends Error {
  override readonly name = 'NotMaster'

  constructor(role: string) {
    super(`the server is a ${role === 'slave' ? 'replica' : role}, not the master: it takes no writes`)
  }
}

/** This error shows that the server is no longer the master. */
export const showsReplica = (error: unknown): boolean => error instanceof NotMaster || isReadOnly(error)

/** A command that returns the role of the server, and where the role is in its reply. */
interface Question {
  readonly command: readonly string[]
  readonly roleIn: (reply: Reply) => string | undefined
}

/** An ACL may forbid the first command, and a hosted server may not have it. */
const QUESTIONS: readonly Question[] = [
  { command: ['ROLE'], roleIn: (reply) => (Array.isArray(reply) ? String(reply[0]) : undefined) },
  { command: ['INFO', 'replication'], roleIn: (reply) => /^role:(\w+)/m.exec(String(reply))?.[1] },
]

/** A server that does not answer the question in time says nothing about its role. */
const PATIENCE_MS = 1000

/** Receives the role, as Redis names it; undefined when the server did not say it. */
type Answered = (role: string | undefined) => void

/** Asks one server for its role, over one connection. */
export class RoleQuestion {
  /** The first question that the server has not refused. */
  #next = 0
  /** A question is on its way. A server that does not answer is not asked again. */
  #pending = false

  /** Whether the server refuses every question. Then only a READONLY reply shows a replica. */
  get refused(): boolean {
    return this.#next >= QUESTIONS.length
  }

  /**
   * Asks for the role. `answered` runs while the reply is read, before the replies to later
   * commands of the connection. `failed` gets an error reply, or the error of the connection.
   */
  ask(client: RedisConnection, answered: Answered, failed: (error: Error) => void = () => {}): void {
    const question = QUESTIONS[this.#next]
    if (question === undefined || this.#pending) return
    this.#pending = true
    client.submit(question.command, {
      answered: (reply) => {
        this.#pending = false
        answered(question.roleIn(reply))
      },
      failed: (error) => {
        this.#pending = false
        // Any other error may pass: ask the same question again at the next tick.
        if (isRefusedCommand(error)) this.#next++
        failed(error)
      },
    })
  }

  /**
   * Resolves with whether the server has said that it is the master. False: it said nothing.
   * @throws NotMaster; the error of the connection.
   */
  async assertMaster(client: RedisConnection): Promise<boolean> {
    while (!this.refused) {
      const asked = this.#next
      const role = await this.#answer(client)
      if (role !== undefined && role !== 'master') throw new NotMaster(role)
      if (this.#next === asked) return role !== undefined
    }
    return false
  }

  #answer(client: RedisConnection): Promise<string | undefined> {
    return new Promise((resolve, reject) => {
      setTimeout(resolve, PATIENCE_MS, undefined).unref()
      this.ask(client, resolve, (error) => (isReply(error) ? resolve(undefined) : reject(error)))
    })
  }
}
