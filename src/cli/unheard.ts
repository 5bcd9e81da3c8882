import { loadConfig } from '../config/load.ts'
import { sessionUp } from '../contract/names.ts'
import { asAgent } from './redis.ts'

/** How often a client is reminded that no agent listens. */
const EVERY_MS = 60_000
/** How soon a failed lookup is repeated. */
const RETRY_MS = 2000

/** Notices that no agent receives what a client of a session sends. */
export class AgentWatch {
  readonly #session: string
  #askedAt = Number.NEGATIVE_INFINITY

  constructor(session: string) {
    this.#session = session
  }

  /**
   * Asks Redis at most once a minute. Resolves with a sentence when no agent is subscribed, and
   * with undefined when one is, or when Redis cannot be asked from here.
   */
  async check(): Promise<string | undefined> {
    if (performance.now() - this.#askedAt < EVERY_MS) return undefined
    this.#askedAt = performance.now()
    try {
      const { config } = loadConfig()
      // The prefix of the gateway is known only inside.
      const count = (channel: () => string) =>
        asAgent(
          config,
          (agent) => agent.subscribers(channel()),
          () => {},
        )
      if ((await count(() => sessionUp(this.#session))) > 0) return undefined
      return `no agent listens: nothing is subscribed to ${sessionUp(this.#session)}, so what you send is dropped`
    } catch {
      // Redis may only be slow to answer: the next frame may ask again soon.
      this.#askedAt = performance.now() - EVERY_MS + RETRY_MS
      return undefined
    }
  }
}
