import { monitorEventLoopDelay } from 'node:perf_hooks'
import { DISCONNECT_KINDS, type DisconnectKind } from '../contract/reasons.ts'
import { REVOCATION_KINDS, type TokenRevocation } from '../contract/revocations.ts'
import { openFiles } from '../platform/open-files.ts'
import { Counter, collectDefaults, Gauge, type Registry } from './prometheus.ts'
import { scrapedCounter } from './scraped.ts'

const PREFIX = 'wsproxy_'
const QUANTILES = ['0.5', '0.9', '0.99', '0.999']
const DELAY_RESOLUTION_MS = 20

/** The metrics of the process itself: its event loop, its log, its traces, and its operators. */
export class ProcessMetrics {
  readonly #registry: Registry
  readonly #delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS })
  readonly #operatorCloses: Counter<'by'>
  #droppedLogLines = () => 0
  #lostSpans = () => 0

  constructor(registry: Registry) {
    this.#registry = registry
    collectDefaults(registry)
    this.#openFiles()
    this.#eventLoopDelay()
    this.#workers()
    const dropped = 'Log lines dropped because their reader had stopped'
    scrapedCounter(registry, 'log_lines_dropped_total', dropped, () => this.#droppedLogLines())
    const lost = 'Spans that the trace collector did not take'
    scrapedCounter(registry, 'trace_spans_lost_total', lost, () => this.#lostSpans())
    this.#operatorCloses = new Counter({
      name: `${PREFIX}operator_closes_total`,
      help: 'Sockets of this instance that an operator closed',
      labelNames: ['by'],
      registers: [registry],
    })
    for (const by of [...DISCONNECT_KINDS, ...REVOCATION_KINDS]) this.#operatorCloses.inc({ by }, 0)
  }

  /** Says where dropped log lines and lost spans are counted. Until then both are 0. */
  register({ droppedLogLines, lostSpans }: { droppedLogLines: () => number; lostSpans: () => number }): void {
    this.#droppedLogLines = droppedLogLines
    this.#lostSpans = lostSpans
  }

  /** Counts sockets that an operator closed. */
  closed(by: DisconnectKind | TokenRevocation['by'], sockets: number): void {
    this.#operatorCloses.inc({ by }, sockets)
  }

  /** Stops the measuring. */
  stop(): void {
    this.#delay.disable()
  }

  /** In the place of prom-client's metric, which lists them: 8 ms a scrape with 10,000 sockets. */
  #openFiles(): void {
    if (process.platform !== 'linux') return
    new Gauge({
      name: 'process_open_fds',
      help: 'Number of open file descriptors.',
      registers: [this.#registry],
      collect() {
        this.set(openFiles())
      },
    })
  }

  /** Of a gateway alone. With WORKERS the merged page has the values of the supervisor. */
  #workers(): void {
    const registers = [this.#registry]
    new Gauge({ name: `${PREFIX}workers`, help: 'Processes of this instance (WORKERS)', registers }).set(1)
    const help = 'Workers that do not listen, or did not answer in time'
    new Gauge({ name: `${PREFIX}workers_missing`, help, registers }).set(0)
    new Counter({
      name: `${PREFIX}worker_restarts_total`,
      help: 'Workers that ended and were started again',
      registers,
    })
  }

  #eventLoopDelay(): void {
    const delay = this.#delay
    delay.enable()
    new Gauge({
      name: `${PREFIX}event_loop_delay_seconds`,
      help: 'How late timers of the event loop were since the last scrape',
      labelNames: ['quantile'],
      registers: [this.#registry],
      collect() {
        // Node records the whole interval between two ticks, so the resolution is subtracted.
        const late = (quantile: string) =>
          Math.max(0, delay.percentile(Number(quantile) * 100) / 1e6 - DELAY_RESOLUTION_MS) / 1e3
        for (const quantile of QUANTILES) this.set({ quantile }, late(quantile))
        delay.reset()
      },
    })
  }
}
