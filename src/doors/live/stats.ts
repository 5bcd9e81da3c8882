import type { Topic } from '../../connection/bind.ts'
import type { Connection } from '../../connection/connection.ts'
import type { Door } from '../../connection/door.ts'
import { topicOf } from '../../contract/names.ts'
import type { LiveReadings } from '../../telemetry/live.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import type { LiveTopics } from './topics.ts'

/** How the sockets of the live door are spread, as the statistics tell it. */
export interface SocketCounts {
  readonly byType: Readonly<Record<string, number>>
  /** By topic. */
  readonly subscriptions: Readonly<Record<string, number>>
  /** RFC 3339; null: there is no socket. */
  readonly oldest: string | null
}

export function socketCounts(sockets: readonly Connection[], topics: Iterable<Topic>): SocketCounts {
  const byType = tally(sockets.map(({ subject }): [string, number] => [subject, 1]))
  const subscriptions = tally(holders(topics))
  const openedAt = sockets.reduce((first, connection) => Math.min(first, connection.openedAt), Number.POSITIVE_INFINITY)
  const oldest = Number.isFinite(openedAt) ? new Date(performance.timeOrigin + openedAt).toISOString() : null
  return { byType, subscriptions, oldest }
}

/** Sums by name, sorted. */
function tally(counts: Iterable<readonly [string, number]>): Record<string, number> {
  const sums = new Map<string, number>()
  for (const [name, count] of counts) sums.set(name, (sums.get(name) ?? 0) + count)
  return Object.fromEntries([...sums].sort())
}

/** How many sockets hold each topic: asked of the topics, which are fewer than the sockets. */
function* holders(topics: Iterable<Topic>): Iterable<[string, number]> {
  for (const { channels, members } of topics) yield [topicOf(channels[0]!), members.length]
}

const AUTH_DENIED = new Set(['credentials-missing', 'credentials-malformed', 'token-rejected'])

/** Outcomes of upgrades at all doors, and what went out. A client that gave up by itself is neither. */
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

/** What the metrics page of the live door tells. */
export async function readingsOf(
  metrics: Metrics,
  { name, stats }: Door,
  held: Iterable<Topic>,
  topics: LiveTopics,
): Promise<LiveReadings> {
  const [upgrades, closed] = await Promise.all([metrics.connections.get(), metrics.disconnections.get()])
  const ofDoor = upgrades.values.filter(({ labels }) => labels.door === name)
  const sum = (values: { value: number }[]) => values.reduce((total, { value }) => total + value, 0)
  const withResult = (matches: (result: string) => boolean) =>
    sum(ofDoor.filter(({ labels }) => matches(String(labels.result))))
  const entries = Array.from(holders(held), ([topic, count]): [string, number] => [topics.entryOf(topic) ?? '', count])
  return {
    sent: stats.framesOut,
    dropped: stats.dropped,
    received: stats.framesIn,
    overRate: stats.overRate,
    bytesSent: stats.bytesOut,
    bytesReceived: stats.bytesIn,
    connections: withResult((result) => result === 'accepted'),
    authDenied: withResult((result) => AUTH_DENIED.has(result)),
    originDenied: withResult((result) => result === 'origin-not-allowed'),
    disconnections: sum(closed.values.filter(({ labels }) => labels.door === name)),
    subscriptions: new Map(Object.entries(tally(entries))),
  }
}
