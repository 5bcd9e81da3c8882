import type { Connection } from '../connection/connection.ts'
import type { Door } from '../connection/door.ts'
import type { LiveReadings } from '../live-metrics.ts'
import type { Metrics } from '../metrics.ts'
import { heldBy } from './subscriptions.ts'
import type { LiveTopics } from './topics.ts'

/** How the sockets of the live door are spread, as the statistics tell it. */
export interface Census {
  readonly byType: Readonly<Record<string, number>>
  /** By topic. */
  readonly subscriptions: Readonly<Record<string, number>>
  /** RFC 3339; null: there is no socket. */
  readonly oldest: string | null
}

export function censusOf(sockets: readonly Connection[]): Census {
  const byType = tally(sockets.map(({ subject }) => subject))
  const subscriptions = tally(sockets.flatMap(heldBy))
  const openedAt = Math.min(...sockets.map((connection) => connection.openedAt))
  const oldest = Number.isFinite(openedAt) ? new Date(performance.timeOrigin + openedAt).toISOString() : null
  return { byType, subscriptions, oldest }
}

function tally(names: readonly string[]): Record<string, number> {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return Object.fromEntries([...counts].sort())
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
  sockets: readonly Connection[],
  topics: LiveTopics,
): Promise<LiveReadings> {
  const [upgrades, closed] = await Promise.all([metrics.connections.get(), metrics.disconnections.get()])
  const ofDoor = upgrades.values.filter(({ labels }) => labels.door === name)
  const sum = (values: { value: number }[]) => values.reduce((total, { value }) => total + value, 0)
  const withResult = (matches: (result: string) => boolean) =>
    sum(ofDoor.filter(({ labels }) => matches(String(labels.result))))
  const entries = sockets.flatMap(heldBy).flatMap((topic) => topics.entryOf(topic) ?? [])
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
