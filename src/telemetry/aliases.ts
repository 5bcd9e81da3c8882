import type { FrameTypes } from './frame-types.ts'

/** Series of older programs, made from ours, for their dashboards, alerts and deployment gates. */

type Labels = Readonly<Record<string, string>>

interface AliasSeries {
  readonly name: string
  readonly type: 'gauge' | 'counter' | 'histogram'
  readonly help: string
  readonly ours: string
  /**
   * The labels of the older series for a sample of ours; undefined for a sample that is no part of
   * it. Samples with equal labels are added up.
   */
  readonly labels: (ours: Labels) => Labels | undefined
  /** Whether the series has labels: without, it is 0 while we have no sample. */
  readonly labelled?: true
}

const where =
  (wanted: Labels): AliasSeries['labels'] =>
  (ours) =>
    Object.entries(wanted).every(([name, value]) => ours[name] === value) ? {} : undefined
const same = (labels: Labels): Labels => labels
/** Renames the label `check`. The buckets of a histogram keep `le`. */
const checkName = ({ check = '', le }: Labels): Labels => ({ ...(le !== undefined && { le }), check_name: check })

/** The older run gateways had one door. */
const runGateway = (program: string): AliasSeries[] => [
  {
    name: `${program}_connections_active`,
    type: 'gauge',
    help: 'Open sockets of the run door.',
    ours: 'wsproxy_active_connections',
    labels: where({ door: 'run' }),
  },
  {
    name: `${program}_messages_sent_total`,
    type: 'counter',
    help: 'Frames sent on the run door.',
    ours: 'wsproxy_messages_sent_total',
    labels: where({ door: 'run' }),
  },
  {
    name: `${program}_redis_reconnects_total`,
    type: 'counter',
    help: 'Connections to Redis made again.',
    ours: 'wsproxy_redis_reconnects_total',
    labels: where({ link: 'subscriber' }),
  },
  {
    name: `${program}_write_errors_total`,
    type: 'counter',
    help: 'Sockets of the run door that were closed because they read too slowly.',
    ours: 'wsproxy_disconnections_total',
    labels: where({ door: 'run', code: '1008' }),
  },
]

const liveSockets = (name: string): AliasSeries => ({
  name,
  type: 'gauge',
  help: 'Open sockets of the live door.',
  ours: 'wsproxy_active_connections',
  labels: where({ door: 'live' }),
})

const LIVE_COUNTERS = [
  'messages_sent_total',
  'messages_send_failures_total',
  'messages_received_total',
  'messages_dropped_rate_limit_total',
  'errors_sent_total',
  'connections_total',
  'disconnections_total',
  'backpressure_disconnects_total',
  'auth_denied_total',
  'origin_denied_total',
  'idle_disconnects_total',
  'bytes_sent_total',
  'bytes_received_total',
]

const dashboard: AliasSeries[] = [
  // Its name says total, and it was a gauge.
  liveSockets('leanvibe_websocket_connections_total'),
  liveSockets('leanvibe_websocket_connections_active'),
  {
    name: 'leanvibe_websocket_subscriptions',
    type: 'gauge',
    help: 'Subscriptions of open live sockets by topic.',
    ours: 'wsproxy_live_subscriptions',
    labels: same,
    labelled: true,
  },
  ...LIVE_COUNTERS.map(
    (each): AliasSeries => ({
      name: `leanvibe_ws_${each}`,
      type: 'counter',
      help: `As wsproxy_live_${each}.`,
      ours: `wsproxy_live_${each}`,
      labels: same,
    }),
  ),
  {
    name: 'leanvibe_ws_last_broadcast_fanout',
    type: 'gauge',
    help: 'Sockets that the last broadcast reached.',
    ours: 'wsproxy_live_last_broadcast_fanout',
    labels: same,
  },
]

const preflightSystem: AliasSeries[] = [
  {
    name: 'tumulte_preflight_runs_total',
    type: 'counter',
    help: 'Preflight runs.',
    ours: 'wsproxy_preflight_runs_total',
    labels: ({ mode = '', event_type = '', result }) => ({ mode, event_type, success: String(result !== 'fail') }),
    labelled: true,
  },
  {
    name: 'tumulte_preflight_check_duration_seconds',
    type: 'histogram',
    help: 'How long a preflight check took.',
    ours: 'wsproxy_preflight_check_duration_seconds',
    labels: checkName,
    labelled: true,
  },
  {
    name: 'tumulte_preflight_failures_total',
    type: 'counter',
    help: 'Preflight checks that failed.',
    ours: 'wsproxy_preflight_failures_total',
    labels: checkName,
    labelled: true,
  },
]

const TABLES: Readonly<Record<string, readonly AliasSeries[]>> = {
  preflight2: runGateway('preflight2'),
  preflight: runGateway('preflight'),
  leanvibe: dashboard,
  tumulte: preflightSystem,
  // Its connections; the frames by type are counted apart.
  processor: [liveSockets('processor_live_connections')],
}

/**
 * The series of these programs in the Prometheus text format. `page` is that of our metrics.
 * @param instance the value of `instance_id`. @param types set with `processor`.
 */
export function aliasPage(
  page: string,
  programs: readonly string[],
  instance: string,
  types: FrameTypes | undefined,
): string {
  const lines = page.split('\n')
  return programs
    .map((program) => {
      const own: Labels = program === 'processor' ? { instance_id: instance } : {}
      const frames = program === 'processor' ? (types?.page('processor_live', own) ?? '') : ''
      return (TABLES[program] ?? []).map((series) => textOf(series, lines, own)).join('') + frames
    })
    .join('')
}

function textOf({ name, type, help, ours, labels, labelled }: AliasSeries, lines: readonly string[], own: Labels) {
  const sums = new Map<string, number>()
  for (const { suffix, labels: found, value } of samplesOf(ours, lines)) {
    const wanted = labels(found)
    if (wanted === undefined) continue
    const key = name + suffix + labelText({ ...wanted, ...own })
    sums.set(key, (sums.get(key) ?? 0) + value)
  }
  if (sums.size === 0 && !labelled) sums.set(name + labelText(own), 0)
  const samples = [...sums].map(([key, value]) => `${key} ${value}\n`).join('')
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${samples}`
}

/** The samples of a metric of ours. A histogram has several kinds, told apart by their suffix. */
function samplesOf(metric: string, lines: readonly string[]) {
  return lines.flatMap((line) => {
    if (!line.startsWith(metric)) return []
    const [, suffix, labels = '', value] =
      /^(_bucket|_sum|_count)?(?:\{(.*)\})? (\S+)$/.exec(line.slice(metric.length)) ?? []
    if (value === undefined) return []
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, name, text]) => [name, text])
    return [{ suffix: suffix ?? '', labels: Object.fromEntries(pairs) as Labels, value: Number(value) }]
  })
}

/** Values are taken from a page, where they are escaped already. */
const labelText = (labels: Labels): string => {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${value}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}
