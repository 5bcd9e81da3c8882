import { sessionCancel, sessionLog, sessionMeta } from '../contract/names.ts'
import { guarded } from './guarded.ts'
import type { RunAtKey, Sender } from './servers/topology.ts'
import type { Reply } from './wire/values.ts'

/** One message of a log. */
interface LogEntry {
  readonly offset: number
  readonly payload: Buffer
}

/** What a log holds, as of one moment. */
export interface LogState {
  /** Undefined: there is no log. */
  readonly epoch: string | undefined
  /** Offset of the newest message; 0: the log is empty. */
  readonly newest: number
  /** Offset of the oldest message that is kept; 0: the log is empty. */
  readonly oldest: number
  /** Offset of the newest snapshot; 0: none. */
  readonly snapshot: number
  /** Offset of the message that ended the stream; 0: none. */
  readonly closedAt: number
  /** Bytes of the larger of the oldest and the newest message: a guess for the others. */
  readonly entryBytes: number
}

export interface LogPage {
  readonly epoch: string | undefined
  /** In order, without entries of other programs. */
  readonly entries: readonly LogEntry[]
  /** As in `LogState`. */
  readonly snapshot: number
  readonly closedAt: number
  /**
   * The newest offset that the log is known to have given, as of this moment: what its writer has
   * counted, or the end of this page; 0: unknown. A message with a larger one is not in the log.
   */
  readonly given: number
  /**
   * The last offset that was read, also of an entry without a payload. At least the one that was
   * asked for.
   */
  readonly end: number
  /** Whether the page reaches the end of the log, as of this moment. */
  readonly isLast: boolean
}

/** The log cannot be read: Redis forbids it, or a key holds something else. */
export class LogUnusable extends Error {
  override readonly name = 'LogUnusable'
}

/** Field of an entry with the message. */
const PAYLOAD = 'm'
const EPOCH = /^[0-9a-z]{1,32}$/
/** As many digits as in the head of a message and in a cursor: any such number is exact. */
const ID = /^0-([1-9]\d{0,14})$/

/** Tries of a read during which the epoch changed. */
const TRIES = 3

/**
 * Reads the logs of sessions. Each message is a stream entry with the id `0-<offset>`, so a range
 * that ends with `0` leaves out entries with ids of Redis. The log and its epoch are two keys: each
 * read asks for the epoch before and after, and repeats when it has changed.
 */
export class RedisSessionLog {
  readonly #at: RunAtKey

  constructor(at: RunAtKey) {
    this.#at = at
  }

  /** Reads what a log holds. @throws RedisUnavailable without an answer; LogUnusable. */
  async state(sessionId: string): Promise<LogState> {
    const log = sessionLog(sessionId)
    const {
      replies,
      counted: _,
      ...meta
    } = await this.#read(sessionId, (client) =>
      Promise.all([newestOf(client, log), client.sendAndRead(['XRANGE', log, '-', '0', 'COUNT', '1'], edgeIn)]),
    )
    const [newest, oldest] = replies
    return {
      ...meta,
      newest: newest.offset,
      oldest: oldest.offset,
      entryBytes: Math.max(newest.bytes, oldest.bytes),
    }
  }

  /**
   * Reads up to `count` messages behind the offset `after`. @throws RedisUnavailable without an
   * answer; LogUnusable.
   */
  async page(sessionId: string, after: number, count: number): Promise<LogPage> {
    const range = ['XRANGE', sessionLog(sessionId), `0-${after + 1}`, '0', 'COUNT', String(count)]
    let length = 0
    let end = after
    const { replies, counted, ...meta } = await this.#read(sessionId, (client) =>
      client.sendAndRead(range, (reply) => {
        const ids = idsOf(reply)
        length = ids.length
        end = Math.max(end, ...ids)
        return entriesOf(reply)
      }),
    )
    // Without progress the same page would come again for ever.
    // A page without entries does not show whether the log has any.
    const given = counted || (length > 0 ? end : await this.newest(sessionId))
    return { ...meta, given, entries: replies, end, isLast: length < count || end === after }
  }

  /** Returns the offset of the newest message; 0 for none. @throws as `page`. */
  async newest(sessionId: string): Promise<number> {
    return answered(async () => {
      const log = sessionLog(sessionId)
      return (await this.#at(log, (client) => newestOf(client, log))).offset
    })
  }

  /**
   * Keeps for `ttlMs` that a client has cancelled `run`, for an agent that does not listen now.
   * @throws RedisUnavailable; Redis' own error.
   */
  async cancel(sessionId: string, run: string, ttlMs: number): Promise<void> {
    const key = sessionCancel(sessionId)
    await this.#at(key, (client) => client.sendCommand(['SET', key, run, 'PX', String(ttlMs)]))
  }

  async #read<T>(sessionId: string, commands: (client: Sender) => Promise<T>): Promise<Meta & { replies: T }> {
    const ask = ['HMGET', sessionMeta(sessionId), 'e', 'snap', 'closed', 'n']
    return answered(async () => {
      for (let tries = 1; ; tries++) {
        const [before, replies, after] = await this.#at(sessionLog(sessionId), (client) =>
          Promise.all([
            client.sendCommand<(string | null)[]>(ask),
            commands(client),
            client.sendCommand<(string | null)[]>(ask),
          ]),
        )
        if (before[0] === after[0] || tries === TRIES) return { ...metaOf(after), replies }
      }
    })
  }
}

interface Meta extends Pick<LogState, 'epoch' | 'snapshot' | 'closedAt'> {
  /** The newest offset by the count of the script; 0: the writer counts by itself. */
  readonly counted: number
}

function metaOf([epoch, snapshot, closedAt, counted]: (string | null)[]): Meta {
  const isEpoch = typeof epoch === 'string' && EPOCH.test(epoch)
  return {
    epoch: isEpoch ? epoch : undefined,
    snapshot: Number(snapshot) || 0,
    closedAt: Number(closedAt) || 0,
    counted: Number(counted) || 0,
  }
}

/** One end of a log. An entry without a payload counts as well: it has taken its number. */
interface Edge {
  /** 0: the log is empty. */
  readonly offset: number
  readonly bytes: number
}

const edgeIn = (reply: Reply): Edge => ({
  offset: idsOf(reply)[0] ?? 0,
  bytes: entriesOf(reply)[0]?.payload.length ?? 0,
})

const newestOf = (client: Sender, log: string): Promise<Edge> =>
  client.sendAndRead(['XREVRANGE', log, '0', '-', 'COUNT', '1'], edgeIn)

/** The offset in the id of an entry; 0 for the id of an entry that is no message. */
const offsetOf = (id: unknown): number => Number(ID.exec(String(id))?.[1] ?? 0)

/** The offsets in a reply to XRANGE, of entries with and without a payload. */
const idsOf = (reply: Reply): number[] =>
  Array.isArray(reply) ? (reply as [unknown][]).map(([id]) => offsetOf(id)) : []

/** Reads a reply to XRANGE: pairs of an id and a flat list of fields. Copies each payload. */
function entriesOf(reply: Reply): LogEntry[] {
  const entries: LogEntry[] = []
  if (!Array.isArray(reply)) return entries
  for (const [id, fields] of reply as [Buffer | string, (Buffer | string)[] | null][]) {
    const offset = offsetOf(id)
    const at = fields?.findIndex((field, index) => index % 2 === 0 && String(field) === PAYLOAD) ?? -1
    if (offset > 0 && at >= 0) entries.push({ offset, payload: Buffer.from(fields![at + 1]!) })
  }
  return entries
}

const answered = <T>(read: () => Promise<T>): Promise<T> =>
  guarded(read, LogUnusable, 'Redis did not answer while a log was read')
