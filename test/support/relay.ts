import { type Pipe, TcpProxy } from './proxy.ts'
import { startRedis, type TestRedis } from './redis.ts'
import { type Scope, stopAtEnd } from './scope.ts'

/** A Redis whose answers a test can keep back: between a command and its confirmation. */
export interface RelayedRedis extends TestRedis {
  /** Keeps back all answers on a connection from the moment it sends bytes that contain `text`. */
  hold(text: string): void
  /** Whether an answer that contains `text` is being kept back. */
  holds(text: string): boolean
  /** Passes on what was kept, in one write a connection, and keeps nothing more. */
  release(): void
}

/** Keeps back the answers on connections that have sent a text. */
class AnswerHolder extends TcpProxy {
  readonly #kept = new Map<Pipe, Buffer[]>()
  #text: string | undefined

  static override async to(target: number): Promise<AnswerHolder> {
    return new AnswerHolder(target).open()
  }

  keepAnswersTo(text: string): void {
    this.#text = text
  }

  keeps(text: string): boolean {
    return [...this.#kept.values()].some((chunks) => Buffer.concat(chunks).includes(text))
  }

  passOn(): void {
    this.#text = undefined
    for (const [pipe, chunks] of this.#kept) pipe.to.write(Buffer.concat(chunks))
    this.#kept.clear()
  }

  protected override pass(pipe: Pipe, chunk: Buffer): void {
    if (pipe.way === 'up' && this.#text !== undefined && chunk.includes(this.#text) && !this.#kept.has(pipe.back))
      this.#kept.set(pipe.back, [])
    const kept = this.#kept.get(pipe)
    if (kept) kept.push(chunk)
    else pipe.to.write(chunk)
  }
}

/** Starts a Redis behind a relay. `client()` connects to the Redis directly. */
async function startRelayedRedis(): Promise<RelayedRedis> {
  const redis = await startRedis()
  const relay = await AnswerHolder.to(redis.port)
  return {
    url: `redis://127.0.0.1:${relay.port}`,
    port: relay.port,
    client: () => redis.client(),
    hold: (text) => relay.keepAnswersTo(text),
    holds: (text) => relay.keeps(text),
    release: () => relay.passOn(),
    stop: async () => {
      await relay.stop()
      await redis.stop()
    },
  }
}

/** `startRelayedRedis`, stopped when the scope ends. */
export const relayedRedisFor = (scope: Scope): Promise<RelayedRedis> => stopAtEnd(scope, startRelayedRedis())
