import { createRequire } from 'node:module'
import type * as prom from 'prom-client'

/**
 * The parts of prom-client that the gateway uses. No other file imports it: its index loads the
 * whole API of OpenTelemetry, a pushgateway and an aggregator as well, which are 65 files more at
 * each start. Not by `import`, which reads each file of CommonJS twice.
 */

const require = createRequire(import.meta.url)

export const Counter = require('prom-client/lib/counter.js') as typeof prom.Counter
export const Gauge = require('prom-client/lib/gauge.js') as typeof prom.Gauge
export const Histogram = require('prom-client/lib/histogram.js') as typeof prom.Histogram
export const Registry = require('prom-client/lib/registry.js') as typeof prom.Registry
export type Counter<Labels extends string = string> = prom.Counter<Labels>
export type Gauge<Labels extends string = string> = prom.Gauge<Labels>
export type Histogram<Labels extends string = string> = prom.Histogram<Labels>
export type Registry = prom.Registry
export type { CounterConfiguration, Metric } from 'prom-client'

type Collect = (registry: Registry, config: prom.DefaultMetricsCollectorConfiguration<prom.RegistryContentType>) => void

const COLLECTORS = [
  processCpu,
  require('prom-client/lib/metrics/processStartTime.js'),
  require('prom-client/lib/metrics/osMemoryHeap.js'),
  require('prom-client/lib/metrics/processMaxFileDescriptors.js'),
  require('prom-client/lib/metrics/eventLoopLag.js'),
  require('prom-client/lib/metrics/processResources.js'),
  require('prom-client/lib/metrics/processHandles.js'),
  require('prom-client/lib/metrics/processRequests.js'),
  require('prom-client/lib/metrics/heapSizeAndUsed.js'),
  require('prom-client/lib/metrics/heapSpacesSizeAndUsed.js'),
  require('prom-client/lib/metrics/version.js'),
  require('prom-client/lib/metrics/gc.js'),
] as readonly Collect[]

/** How often the lag of the event loop is sampled. */
const LAG_RESOLUTION_MS = 10

/** The default metrics of prom-client, except `process_open_fds`. */
export function collectDefaults(registry: Registry): void {
  for (const collect of COLLECTORS) collect(registry, { eventLoopMonitoringPrecision: LAG_RESOLUTION_MS })
}

/** Three metrics in the place of processCpuTotal.js, which loads OpenTelemetry for exemplars. */
function processCpu(registry: Registry): void {
  const counter = (name: string, help: string, collect = () => {}) =>
    new Counter({ name, help: `Total ${help} CPU time spent in seconds.`, registers: [registry], collect })
  let last = process.cpuUsage()
  // The first one sets all three: a scrape collects the metrics in their order.
  const user = counter('process_cpu_user_seconds_total', 'user', () => {
    const now = process.cpuUsage()
    const [userUs, systemUs] = [now.user - last.user, now.system - last.system]
    last = now
    user.inc(userUs / 1e6)
    system.inc(systemUs / 1e6)
    total.inc((userUs + systemUs) / 1e6)
  })
  const system = counter('process_cpu_system_seconds_total', 'system')
  const total = counter('process_cpu_seconds_total', 'user and system')
}
