/** Series of the older run gateways, made from ours, for dashboards and deployment gates. */

interface AliasSeries {
  readonly name: string
  readonly type: 'gauge' | 'counter'
  readonly help: string
  /** Our series, without the value: the older programs had the run door only. */
  readonly ours: string
}

const SERIES: readonly AliasSeries[] = [
  {
    name: 'connections_active',
    type: 'gauge',
    help: 'Open sockets of the run door.',
    ours: 'wsproxy_active_connections{door="run"}',
  },
  {
    name: 'messages_sent_total',
    type: 'counter',
    help: 'Frames sent on the run door.',
    ours: 'wsproxy_messages_sent_total{door="run"}',
  },
  {
    name: 'redis_reconnects_total',
    type: 'counter',
    help: 'Connections to Redis made again.',
    ours: 'wsproxy_redis_reconnects_total',
  },
  {
    name: 'write_errors_total',
    type: 'counter',
    help: 'Sockets of the run door that were closed because they read too slowly.',
    ours: 'wsproxy_disconnections_total{door="run",code="1008"}',
  },
]

/** The page of our metrics with the series of these programs after it. */
export const withAliases = (page: string, programs: readonly string[]): string =>
  page +
  programs
    .flatMap((program) => SERIES.map((series) => ({ ...series, name: `${program}_${series.name}` })))
    .map(
      ({ name, type, help, ours }) =>
        `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name} ${numberOf(page, ours)}\n`,
    )
    .join('')

/** The value of a series in the page; 0 while it has none. */
function numberOf(page: string, series: string): string {
  const line = page.split('\n').find((each) => each.startsWith(`${series} `))
  return line === undefined ? '0' : line.slice(series.length + 1)
}
