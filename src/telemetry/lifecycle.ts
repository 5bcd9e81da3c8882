import type { Config } from '../config/table.ts'
import { within } from '../platform/deadline.ts'
import type { Logger } from './log.ts'
import { loadPeers } from './peers.ts'
import type { Tracing } from './tracing.ts'

/** How long the end waits for the last traces to be sent, in ms: a collector may hang. */
const TRACES_MS = 1000
/** How long the end waits for the reader of the log, in ms. */
const LOG_MS = 1000

/**
 * Loads and starts tracing where OTEL_EXPORTER_OTLP_ENDPOINT is set. Undefined: tracing is off.
 * @throws ConfigError when its packages are not installed.
 */
export async function loadTracing(
  { otelExporterOtlpEndpoint: endpoint }: Pick<Config, 'otelExporterOtlpEndpoint'>,
  log: Logger,
): Promise<Tracing | undefined> {
  if (endpoint === undefined) return undefined
  return loadPeers('OTEL_EXPORTER_OTLP_ENDPOINT', '@opentelemetry/', async () =>
    (await import('./tracing.ts')).startTracing(endpoint, log),
  )
}

/** Sends the last traces and log lines, each within a second. Never rejects. */
export async function flushTelemetry(tracing: Tracing | undefined, log: Logger): Promise<void> {
  if (tracing) await within(tracing.stop(), TRACES_MS).catch(() => {})
  await log.flushWithin(LOG_MS)
}
