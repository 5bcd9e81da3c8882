import { sessionDown, sessionLog, sessionMeta } from '../contract/names.ts'
import { guarded } from './guarded.ts'
import { Script } from './script.ts'
import type { RunAtKey } from './servers/topology.ts'
import { LogUnusable } from './session-log.ts'
import { STREAM_TEXT } from './stream-script.ts'

/** What the creator of a stream has asked for. */
export interface StreamLife {
  /** In small letters. Undefined: an agent writes the log of the session. */
  readonly type: string | undefined
  /** Seconds that it lives after each use, as they were given. */
  readonly ttl: string | undefined
  /** When it ends, in ms since the epoch. */
  readonly expiresAt: number | undefined
  /** Offset of the newest message at which it was closed. Undefined: it never was. */
  readonly closedAt: number | undefined
}

export interface Producer {
  readonly id: string
  readonly epoch: string
  readonly number: string
}

/** What a request writes. */
export interface StreamWrite {
  readonly verb: 'create' | 'append'
  /** In small letters. */
  readonly type: string
  readonly closes: boolean
  readonly ttl?: string | undefined
  readonly expiresAt?: number | undefined
  readonly sequence?: string | undefined
  readonly producer?: Producer | undefined
  readonly messages: readonly Buffer[]
}

const WORDS = [
  ...['created', 'same', 'differs', 'ok', 'duplicate', 'missing', 'closed', 'type', 'sequence', 'stale', 'first'],
  ...['gap', 'crowded'],
] as const
export type StreamWord = (typeof WORDS)[number]

/** What the script answers; src/redis/stream-script.ts says what each word means. */
export interface StreamAnswer {
  readonly word: StreamWord
  readonly epoch: string
  readonly offset: number
  readonly closed: boolean
  readonly details: readonly [string, string]
}

const SCRIPT = new Script(STREAM_TEXT)

/** Writes the logs of sessions as streams, and reads what is kept of a stream beside its log. */
export class RedisStreams {
  readonly #at: RunAtKey
  readonly #sharded: boolean

  constructor(at: RunAtKey, sharded: boolean) {
    this.#at = at
    this.#sharded = sharded
  }

  /** @throws RedisUnavailable without an answer; LogUnusable. */
  async life(sessionId: string): Promise<StreamLife> {
    const ask = ['HMGET', sessionMeta(sessionId), 'ct', 'ttl', 'exp', 'closed']
    const [type, ttl, expiresAt, closed] = await answered(() =>
      this.#at(sessionLog(sessionId), (client) => client.sendCommand<(string | null)[]>(ask)),
    )
    return {
      type: type ?? undefined,
      ttl: ttl ?? undefined,
      expiresAt: expiresAt ? Number(expiresAt) : undefined,
      closedAt: closed ? Number(closed) : undefined,
    }
  }

  /** Writes in one atomic step, or not at all. @throws as `life`. */
  async write(sessionId: string, write: StreamWrite): Promise<StreamAnswer> {
    const { verb, type, closes, ttl = '', expiresAt, sequence = '', producer, messages } = write
    const keys = [sessionLog(sessionId), sessionMeta(sessionId)]
    const { id = '', epoch = '', number = '' } = producer ?? {}
    const life = [ttl, expiresAt === undefined ? '' : String(expiresAt)]
    const args = [verb, type, closes ? '1' : '', ...life, sequence, id, epoch, number, this.#sharded ? 'sharded' : '']
    const reply = await answered(() =>
      this.#at(keys[0]!, (client) =>
        SCRIPT.run((command) => client.sendCommand(command), keys, [...args, ...messages]),
      ),
    )
    const [word, log, offset, closed, ...details] = reply as [StreamWord, string, number, number, string, string]
    if (!WORDS.includes(word)) throw new LogUnusable(`the script of streams answered ${String(word)}`)
    return { word, epoch: String(log), offset: Number(offset), closed: Number(closed) === 1, details }
  }

  /** Renews the life of a stream that lives for a time after each use. @throws as `life`. */
  async touch(sessionId: string, seconds: string): Promise<void> {
    await answered(() =>
      this.#at(sessionLog(sessionId), (client) =>
        Promise.all([
          client.sendCommand(['EXPIRE', sessionLog(sessionId), seconds]),
          client.sendCommand(['EXPIRE', sessionMeta(sessionId), seconds]),
        ]),
      ),
    )
  }

  /** Deletes a stream, wakes its readers. Resolves with whether it existed. @throws as `life`. */
  async delete(sessionId: string): Promise<boolean> {
    const [log, meta] = [sessionLog(sessionId), sessionMeta(sessionId)]
    return answered(() =>
      this.#at(log, async (client) => {
        const epoch = await client.sendCommand<string | null>(['HGET', meta, 'e'])
        const deleted = await client.sendCommand<number>(['DEL', log, meta])
        if (deleted === 0) return false
        const publish = this.#sharded ? 'SPUBLISH' : 'PUBLISH'
        if (epoch) await client.sendCommand([publish, sessionDown(sessionId), `\x1e${epoch}.0e\x1e`])
        return true
      }),
    )
  }
}

const answered = <T>(work: () => Promise<T>): Promise<T> =>
  guarded(work, LogUnusable, 'Redis did not answer while a stream was used')
