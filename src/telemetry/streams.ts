import { APPEND_RESULTS } from '../contract/reasons.ts'
import { Counter, type Registry } from './prometheus.ts'

/** The metrics of streams over HTTP. */
export class StreamMetrics {
  readonly appends: Counter<'result'>

  constructor(registry: Registry) {
    this.appends = new Counter({
      name: 'wsproxy_stream_appends_total',
      help: 'Requests to append to a stream, by what came of them',
      labelNames: ['result'],
      registers: [registry],
    })
    for (const result of APPEND_RESULTS) this.appends.inc({ result }, 0)
  }
}
