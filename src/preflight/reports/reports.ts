import { preflightCounts, preflightPlaces, preflightReports } from '../../contract/names.ts'
import { Script } from '../../redis/script.ts'
import { isReport, type Report } from '../check.ts'
import { pairsOf } from '../probes/reply.ts'
import { type Count, countsOf, DAY_MS, HOUR_MS } from './counts.ts'

/** Sends a command to Redis. */
export type Command = (args: readonly string[]) => Promise<unknown>

/** The most reports in the stream, whatever their age. */
const MAX_REPORTS = 500_000
/** The most event types counted by name within one hour or day; further types count as `other`. */
const MAX_TYPES = 100
/** One query reads at most this many entries, in batches: an entry has a few kilobytes. */
const MAX_SCANNED = 1000
const BATCH = 100

/**
 * Stores and counts a report in one step. A second call has no effect, so that a call whose outcome
 * is unknown can be repeated.
 * KEYS: stream, counts of the hour, counts of the day, entry ids of the day.
 * ARGV: id, event type, healthy, report, oldest time to keep, lifetime of counts and entry ids (s),
 * most reports, most types; then pairs of field and value. A `last:` field keeps the later value,
 * all other values are added up.
 */
const SCRIPT = new Script(`
if redis.call('HEXISTS', KEYS[4], ARGV[1]) == 1 then return 0 end
local at = redis.call('XADD', KEYS[1], '*', 'id', ARGV[1], 'type', ARGV[2], 'healthy', ARGV[3], 'report', ARGV[4])
redis.call('HSET', KEYS[4], ARGV[1], at)
redis.call('EXPIRE', KEYS[4], ARGV[6])
redis.call('EXPIRE', KEYS[1], ARGV[6])
redis.pcall('XTRIM', KEYS[1], 'MINID', ARGV[5])
redis.call('XTRIM', KEYS[1], 'MAXLEN', '~', ARGV[7])
for key = 2, 3 do
  for i = 9, #ARGV, 2 do
    if string.sub(ARGV[i], 1, 5) ~= 'last:' then redis.call('HINCRBY', KEYS[key], ARGV[i], ARGV[i + 1])
    elseif (redis.call('HGET', KEYS[key], ARGV[i]) or '') < ARGV[i + 1] then redis.call('HSET', KEYS[key], ARGV[i], ARGV[i + 1]) end
  end
  local kind = 'type:' .. ARGV[2]
  if redis.call('HEXISTS', KEYS[key], kind) == 0 and redis.call('HINCRBY', KEYS[key], 'types', 1) > tonumber(ARGV[8]) then
    kind = 'type:other'
  end
  redis.call('HINCRBY', KEYS[key], kind, 1)
  redis.call('EXPIRE', KEYS[key], ARGV[6])
end
return 1`)

/** Selects reports, newest first. */
export interface ReportQuery {
  readonly limit: number
  readonly eventType?: string
  readonly healthy?: boolean
  /**
   * Only reports older than this: a stream position as in `next`, or milliseconds since the epoch.
   */
  readonly before?: string
}

/**
 * The reports of all instances, in a Redis stream. Counts by hour and day spare statistics the
 * stream.
 */
export class Reports {
  readonly #command: Command
  readonly #retentionMs: number

  constructor(command: Command, retentionMs: number) {
    this.#command = command
    this.#retentionMs = retentionMs
  }

  /** Stores and counts a report. @throws RedisUnavailable, or an error reply of Redis. */
  async add(report: Report, now: number): Promise<void> {
    const createdAt = Date.parse(report.createdAt)
    const day = Math.floor(createdAt / DAY_MS)
    const keys = [
      preflightReports(),
      preflightCounts('hour', Math.floor(createdAt / HOUR_MS)),
      preflightCounts('day', day),
      preflightPlaces(day),
    ]
    const lifeS = Math.ceil((this.#retentionMs + DAY_MS) / 1000)
    const oldest = Math.max(0, Math.floor(now - this.#retentionMs))
    const { id, eventType, healthy } = report
    const entry = [id, eventType, healthy ? '1' : '0', JSON.stringify(report)]
    const bounds = [oldest, lifeS, MAX_REPORTS, MAX_TYPES].map(String)
    await SCRIPT.run(this.#command, keys, [...entry, ...bounds, ...countsOf(report).flat().map(String)])
  }

  /**
   * Lists reports. `next` is the position to continue from, undefined at the end. With a filter
   * that matches rarely, a page may be empty and still have a `next`.
   */
  async list({
    limit,
    eventType,
    healthy,
    before,
  }: ReportQuery): Promise<{ reports: Report[]; next: string | undefined }> {
    const reports: Report[] = []
    let end = before === undefined ? '+' : `(${before}`
    for (let scanned = 0; scanned < MAX_SCANNED; ) {
      const count = eventType === undefined && healthy === undefined ? limit - reports.length : BATCH
      const entries = (await this.#range(end, '-', count)).map(entryOf)
      scanned += entries.length
      for (const { at, fields } of entries) {
        end = `(${at}`
        if (eventType !== undefined && fields.get('type') !== eventType) continue
        if (healthy !== undefined && fields.get('healthy') !== (healthy ? '1' : '0')) continue
        const report = reportIn(fields)
        if (report === undefined) continue
        reports.push(report)
        if (reports.length === limit) return { reports, next: at }
      }
      if (entries.length < count) return { reports, next: undefined }
    }
    return { reports, next: end.slice(1) }
  }

  /** Finds a report by id; undefined when it does not exist or has expired. */
  async find(id: string): Promise<Report | undefined> {
    const createdAt = createdAtOf(id)
    if (createdAt === undefined) return undefined
    const at = await this.#command(['HGET', preflightPlaces(Math.floor(createdAt / DAY_MS)), id])
    if (typeof at !== 'string') return undefined
    const [entry] = await this.#range(at, at, 1)
    return entry === undefined ? undefined : reportIn(entryOf(entry).fields)
  }

  /** The counts of each bucket; empty for a bucket without runs. */
  async counts(buckets: readonly { unit: 'hour' | 'day'; number: number }[]): Promise<Count[]> {
    const read = buckets.map(({ unit, number }) => this.#command(['HGETALL', preflightCounts(unit, number)]))
    return (await Promise.all(read)).map((answer) => new Map(pairsOf(answer)))
  }

  async #range(newest: string, oldest: string, count: number): Promise<unknown[]> {
    const answer = await this.#command(['XREVRANGE', preflightReports(), newest, oldest, 'COUNT', String(count)])
    return answer as unknown[]
  }
}

function entryOf(entry: unknown): { at: string; fields: ReadonlyMap<string, string> } {
  const [at, fields] = entry as [unknown, unknown]
  return { at: String(at), fields: new Map(pairsOf(fields)) }
}

/** The report of an entry; undefined for an entry that another program wrote. */
function reportIn(fields: ReadonlyMap<string, string>): Report | undefined {
  try {
    const value: unknown = JSON.parse(fields.get('report') ?? '')
    return isReport(value) ? { ...value, success: value.healthy } : undefined
  } catch {
    return undefined
  }
}

const ID = /^([0-9a-z]{9})-[0-9a-f]{16}$/

/** The creation time in a report id (ms since the epoch); undefined for an invalid id. */
function createdAtOf(id: string): number | undefined {
  const [, time] = ID.exec(id) ?? []
  return time === undefined ? undefined : Number.parseInt(time, 36)
}
