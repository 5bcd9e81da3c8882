import { createHash } from 'node:crypto'
import { isReply } from './wire/errors.ts'

/** A Lua script, run with EVALSHA. Its text is sent only when the server does not know it. */
export class Script {
  readonly #text: string
  readonly #sha: string

  constructor(text: string) {
    this.#text = text
    this.#sha = createHash('sha1').update(text).digest('hex')
  }

  /** Runs the script over `send` and returns its result. @throws what `send` throws. */
  async run(
    send: (args: string[]) => Promise<unknown>,
    keys: readonly string[],
    args: readonly string[],
  ): Promise<unknown> {
    const rest = [String(keys.length), ...keys, ...args]
    try {
      return await send(['EVALSHA', this.#sha, ...rest])
    } catch (error) {
      if (isReply(error) && error.message.startsWith('NOSCRIPT')) return send(['EVAL', this.#text, ...rest])
      throw error
    }
  }
}
