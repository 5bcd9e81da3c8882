import { createHash } from 'node:crypto'
import { liveChannel, outboxCount, outboxLog, outboxSeen } from '../contract/names.ts'
import { guarded } from './guarded.ts'
import { Script } from './script.ts'

/** How long an envelope that comes again is recognised. */
const SEEN_S = 7 * 86_400
const DAY_MS = 86_400_000
/** The count of a day outlives it, since the clocks of instances differ. */
const COUNT_S = 2 * 86_400

/**
 * Publishes an envelope once. Returns 1: published; 0: it was before; -1: the subject has published
 * too many on this day. When Redis forbids the PUBLISH, the script takes back what it has written,
 * so that the envelope can come again.
 */
const SCRIPT = new Script(`
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
if tonumber(redis.call('GET', KEYS[3]) or '0') >= tonumber(ARGV[5]) then return -1 end
local place = redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[6], '*', 'subject', ARGV[3], 'envelope', ARGV[4])
redis.call('SET', KEYS[1], place, 'EX', ${SEEN_S})
local heard = redis.pcall('PUBLISH', ARGV[1], ARGV[2])
if type(heard) == 'table' and heard.err then
  redis.call('DEL', KEYS[1])
  redis.call('XDEL', KEYS[2], place)
  return heard
end
redis.call('INCR', KEYS[3])
redis.call('EXPIRE', KEYS[3], ${COUNT_S})
return 1`)

type OutboxOutcome = 'published' | 'duplicate' | 'over'
const OUTCOMES: Readonly<Record<string, OutboxOutcome>> = { '1': 'published', '0': 'duplicate', '-1': 'over' }

/** Redis forbids the outbox, or one of its keys holds something else. */
class OutboxUnusable extends Error {
  override readonly name = 'OutboxUnusable'
}

/** One envelope, ready to be published. */
interface OutgoingEnvelope {
  readonly topic: string
  /** Of any characters: the keys have a hash of it, and the stream has it as it is. */
  readonly subject: string
  readonly uuid: string
  /** JSON text for the stream. */
  readonly envelope: string
  /** JSON text for the channel of the topic. */
  readonly message: string
}

/** What a subject may publish in a day, and what the stream of a topic keeps. */
interface OutboxLimits {
  readonly outboxMaxPerDay: number
  readonly outboxLogLength: number
}

/** Publishes envelopes of clients, each once in 7 days. */
export class RedisOutbox {
  readonly #command: (key: string, args: readonly string[]) => Promise<unknown>
  readonly #limits: OutboxLimits

  /** @param command runs a command on the server that has a key. */
  constructor(command: (key: string, args: readonly string[]) => Promise<unknown>, limits: OutboxLimits) {
    this.#command = command
    this.#limits = limits
  }

  /**
   * Appends an envelope to the stream of its topic and publishes it, unless it was published
   * before.
   * @throws RedisUnavailable without an answer: it may be published. OutboxUnusable.
   */
  publish({ topic, subject, uuid, envelope, message }: OutgoingEnvelope, now = Date.now()): Promise<OutboxOutcome> {
    const owner = createHash('sha256').update(subject).digest('base64url').slice(0, 22)
    const count = outboxCount(topic, owner, Math.floor(now / DAY_MS))
    const keys = [outboxSeen(topic, owner, uuid), outboxLog(topic), count]
    const { outboxMaxPerDay, outboxLogLength } = this.#limits
    const args = [liveChannel(topic), message, subject, envelope, String(outboxMaxPerDay), String(outboxLogLength)]
    const send = (command: string[]) => this.#command(keys[0]!, command)
    return guarded(
      async () => OUTCOMES[String(await SCRIPT.run(send, keys, args))]!,
      OutboxUnusable,
      'Redis did not answer while an envelope was published',
    )
  }
}
