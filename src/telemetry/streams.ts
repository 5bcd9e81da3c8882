import { APPEND_RESULTS } from '../contract/reasons.ts'
import { Counter, Gauge, type Registry } from './prometheus.ts'

/** The metrics of streams over HTTP. */
export class StreamMetrics {
  readonly appends: Counter<'result'>
  /** Streams of server-sent events whose client has to read before it gets more. */
  lagging = 0

  constructor(registry: Registry) {
    this.appends = new Counter({
      name: 'wsproxy_stream_appends_total',
      help: 'Requests to append to a stream, by what came of them',
      labelNames: ['result'],
      registers: [registry],
    })
    const read = () => this.lagging
    new Gauge({
      name: 'wsproxy_sse_lagging',
      help: 'Streams of server-sent events that wait for their client to read',
      registers: [registry],
      collect() {
        this.set(read())
      },
    })
    for (const result of APPEND_RESULTS) this.appends.inc({ result }, 0)
  }
}
