import { deflateRawSync } from 'node:zlib'
import type { Topic } from '../../connection/bind.ts'
import type { Connection } from '../../connection/connection.ts'
import type { Door } from '../../connection/door.ts'
import { refusals } from '../../contract/codes.ts'
import type { LiveCounts, LiveReadings } from '../../telemetry/live.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import { countRetained } from './retained.ts'
import { BUILT_IN, type LiveTopics, nameOf } from './topics.ts'

/** Counts of the open sockets of the live door. */
export interface SocketCounts {
  readonly byType: Readonly<Record<string, number>>
  /** By topic. */
  readonly subscriptions: Readonly<Record<string, number>>
  /** When the oldest socket was opened (RFC 3339); null without a socket. */
  readonly oldest: string | null
}

/** Each topic that every gateway has is counted, also without a socket. */
export function socketCounts(sockets: readonly Connection[], topics: Iterable<Topic>): SocketCounts {
  const byType = tally(sockets.map(({ subject }): [string, number] => [subject, 1]))
  const subscriptions = tally([...BUILT_IN.map((name): [string, number] => [name, 0]), ...holders(topics)])
  const openedAt = sockets.reduce((first, connection) => Math.min(first, connection.openedAt), Number.POSITIVE_INFINITY)
  const oldest = Number.isFinite(openedAt) ? new Date(performance.timeOrigin + openedAt).toISOString() : null
  return { byType, subscriptions, oldest }
}

/** Adds up the counts of each name, sorted by name. */
function tally(counts: Iterable<readonly [string, number]>): Record<string, number> {
  const sums = new Map<string, number>()
  for (const [name, count] of counts) sums.set(name, (sums.get(name) ?? 0) + count)
  return Object.fromEntries([...sums].sort())
}

/** Yields each topic with the number of sockets that hold it, without a loop over the sockets. */
function* holders(topics: Iterable<Topic>): Iterable<[string, number]> {
  for (const topic of topics) yield [nameOf(topic), topic.members.length]
}

/** The results of upgrades that count as denied for their credentials. */
const AUTH_DENIED: ReadonlySet<string> = new Set(
  [refusals['credentials-missing'], refusals['credentials-malformed'], refusals['token-rejected']].map(
    ({ code }) => code,
  ),
)

/**
 * Upgrades and frames at all doors since the start. An upgrade that the client aborted counts as
 * neither accepted nor refused.
 */
export async function outcomes(metrics: Metrics) {
  const upgrades = await metrics.connections.get()
  const sum = (matches: (result: string) => boolean) =>
    upgrades.values.reduce((total, { labels, value }) => total + (matches(String(labels.result)) ? value : 0), 0)
  const doors = metrics.doors()
  return {
    accepted: sum((result) => result === 'accepted'),
    refused: sum((result) => result !== 'accepted' && result !== 'aborted'),
    sent: doors.reduce((total, { framesOut }) => total + framesOut, 0),
    dropped: doors.reduce((total, { dropped }) => total + dropped, 0),
  }
}

/** The values behind the metrics of the live door. `held` are the topics that some socket holds. */
export async function readingsOf(
  metrics: Metrics,
  { name, stats }: Door,
  held: readonly Topic[],
  topics: LiveTopics,
): Promise<LiveReadings> {
  const [upgrades, closed] = await Promise.all([metrics.connections.get(), metrics.disconnections.get()])
  const ofDoor = upgrades.values.filter(({ labels }) => labels.door === name)
  const sum = (values: { value: number }[]) => values.reduce((total, { value }) => total + value, 0)
  const withResult = (matches: (result: string) => boolean) =>
    sum(ofDoor.filter(({ labels }) => matches(String(labels.result))))
  const entries = Array.from(holders(held), ([topic, count]): [string, number] => [topics.entryOf(topic) ?? '', count])
  return {
    retained: countRetained(held),
    sent: stats.framesOut,
    dropped: stats.dropped,
    received: stats.framesIn,
    overRate: stats.overRate,
    bytesSent: stats.bytesOut,
    bytesReceived: stats.bytesIn,
    connections: withResult((result) => result === 'accepted'),
    authDenied: withResult((result) => AUTH_DENIED.has(result)),
    originDenied: withResult((result) => result === refusals['origin-not-allowed'].code),
    disconnections: sum(closed.values.filter(({ labels }) => labels.door === name)),
    subscriptions: new Map(Object.entries(tally(entries))),
  }
}

/**
 * uWebSockets.js compresses for each socket and does not report the size, so compress a message
 * once more to measure it.
 */
export function measureCompressed(counts: LiveCounts, frame: Buffer): void {
  counts.plainBytes += frame.length
  counts.compressedBytes += deflateRawSync(frame).length
}
