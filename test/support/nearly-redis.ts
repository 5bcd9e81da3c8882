import { type Pipe, TcpProxy } from './proxy.ts'
import { RespValues } from './resp.ts'
import { type Scope, stopAtEnd } from './scope.ts'

/** How a server that is nearly Redis differs from the real one behind it. */
export interface Difference {
  /** Returns the error reply to a command, without the minus sign; undefined: it passes. */
  readonly refuse?: (command: string) => string | undefined
  /** Whether it closes the connection instead of an answer to this command. */
  readonly hangUp?: (command: string) => boolean
  /** Sends pushes as plain arrays. */
  readonly plainPushes?: boolean
}

/** A proxy before a real server. It answers some commands itself and changes what comes back. */
class NearlyRedis extends TcpProxy {
  readonly difference: Difference
  readonly #values = new WeakMap<Pipe, RespValues>()

  constructor(target: number, difference: Difference) {
    super(target)
    this.difference = difference
  }

  start(): Promise<this> {
    return this.open()
  }

  protected override pass(pipe: Pipe, chunk: Buffer): void {
    const values = this.#values.get(pipe) ?? new RespValues()
    this.#values.set(pipe, values)
    for (const value of values.push(chunk)) {
      if (pipe.way === 'up' && this.difference.hangUp?.(commandIn(value))) return void pipe.from.destroy()
      pipe.to.write(pipe.way === 'up' ? this.#up(value) : this.#down(value))
    }
  }

  /** The real server returns the error, so that replies keep their order. */
  #up(value: Buffer): Buffer {
    const error = this.difference.refuse?.(commandIn(value))
    if (error === undefined) return value
    const parts = ['EVAL', 'return redis.error_reply(ARGV[1])', '0', error]
    return Buffer.from(`*4\r\n${parts.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`).join('')}`)
  }

  #down(value: Buffer): Buffer {
    if (this.difference.plainPushes && value.toString('latin1', 0, 1) === '>') value[0] = '*'.charCodeAt(0)
    return value
  }
}

const commandIn = (value: Buffer): string =>
  value
    .toString()
    .split('\r\n')
    .filter((_, i) => i > 0 && i % 2 === 0)
    .join(' ')

/** A server that is nearly Redis, before the one at port `target`; it stops with the scope. */
export const nearlyRedisFor = (scope: Scope, target: number, difference: Difference): Promise<NearlyRedis> =>
  stopAtEnd(scope, new NearlyRedis(target, difference).start())
