import { boolean, duration, group, httpUrl, level, list, string } from './kinds.ts'

/** The settings of the logs, metrics and traces. */
export const telemetrySettings = group('Logs, metrics and traces', {
  logLevel: level('LOG_LEVEL', {
    default: 'info',
    description:
      'Lowest level that is logged. Logs are JSON lines on stdout. Of `info,wsproxy=debug` the part of wsproxy counts.',
  }),
  heapSnapshotDir: string('HEAP_SNAPSHOT_DIR', {
    default: undefined,
    description:
      'Folder for the heap snapshots of SIGUSR2 and `wsproxy heap`. Unset: the temporary folder of the system.',
  }),
  metricsEnabled: boolean('METRICS_ENABLED', {
    default: 'true',
    description: 'Serve `/metrics`.',
  }),
  metricsMaxAgeMs: duration('METRICS_MAX_AGE', {
    default: '1s',
    maximum: '1m',
    description: 'A page of metrics younger than this is served again, to every scraper. 0: each request renders one.',
  }),
  metricsAliases: list('METRICS_ALIASES', {
    default: '',
    description:
      'Older programs whose series `/metrics` adds under their names: `preflight2`, `preflight`, `leanvibe`, `tumulte`, ' +
      '`processor`.',
  }),
  otelExporterOtlpEndpoint: httpUrl('OTEL_EXPORTER_OTLP_ENDPOINT', {
    default: undefined,
    secret: true,
    description:
      'Collector for traces (OTLP over HTTP, path `/v1/traces`): one span per handshake and client frame. ' +
      'Needs the packages `@opentelemetry/*`, which are not installed with wsproxy. Unset: off.',
  }),
})
