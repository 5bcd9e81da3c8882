import { createHash } from 'node:crypto'
import { isRefusedCommand, isReply } from './wire/errors.ts'

/**
 * A Lua script, run with EVALSHA. Its text is sent only when the server does not know it, and
 * always once the server has refused EVALSHA.
 */
export class Script {
  readonly #text: string
  readonly #sha: string
  #needsText = false

  constructor(text: string) {
    this.#text = text
    this.#sha = createHash('sha1').update(text).digest('hex')
  }

  /** Runs the script over `send` and returns its result. @throws what `send` throws. */
  async run<A extends string | Buffer = string>(
    send: (args: (A | string)[]) => Promise<unknown>,
    keys: readonly string[],
    args: readonly A[],
  ): Promise<unknown> {
    const rest = [String(keys.length), ...keys, ...args]
    const whole = () => send(['EVAL', this.#text, ...rest])
    if (this.#needsText) return whole()
    try {
      return await send(['EVALSHA', this.#sha, ...rest])
    } catch (error) {
      if (isReply(error) && error.message.startsWith('NOSCRIPT')) return whole()
      if (!isRefusedCommand(error)) throw error
      const result = await whole()
      this.#needsText = true
      return result
    }
  }
}
