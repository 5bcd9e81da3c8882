import type { ReadableSpan, SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace-base'
import { reasonOf } from '../platform/reason.ts'
import type { Logger } from './log.ts'

const SUCCESS = 0
const SAMPLED = 1

/**
 * Counts the spans that the collector of traces does not take, and logs when that begins and when
 * it ends. The SDK would drop them without a word.
 */
export class Collector {
  readonly #log: Logger
  readonly #maxWaiting: number
  #waiting = 0
  #lost = 0
  #lostSince = 0
  #isAway = false

  /** @param maxWaiting spans that wait for their export; the queue of the SDK has the same size. */
  constructor(log: Logger, maxWaiting: number) {
    this.#log = log
    this.#maxWaiting = maxWaiting
  }

  /** Spans that were lost since the start. */
  get lost(): number {
    return this.#lost
  }

  /** An exporter that counts the spans which `exporter` could not hand over. */
  exporter(exporter: SpanExporter): SpanExporter {
    return {
      export: (spans, done) => {
        this.#waiting -= spans.length
        exporter.export(spans, (result) => {
          if (result.code === SUCCESS) this.#back()
          else this.#lose(spans.length, result.error)
          done(result)
        })
      },
      shutdown: () => exporter.shutdown(),
      forceFlush: async () => exporter.forceFlush?.(),
    }
  }

  /** A processor that drops and counts the spans for which the queue of `processor` has no room. */
  processor(processor: SpanProcessor): SpanProcessor {
    return {
      onStart: (span, context) => processor.onStart(span, context),
      onEnd: (span) => this.#ended(span, processor),
      forceFlush: () => processor.forceFlush(),
      shutdown: () => processor.shutdown(),
    }
  }

  #ended(span: ReadableSpan, processor: SpanProcessor): void {
    if ((span.spanContext().traceFlags & SAMPLED) === 0) return
    if (this.#waiting >= this.#maxWaiting) return this.#lose(1, new Error('more spans wait than it takes'))
    this.#waiting++
    processor.onEnd(span)
  }

  #lose(spans: number, error: unknown): void {
    this.#lost += spans
    this.#lostSince += spans
    if (this.#isAway) return
    this.#isAway = true
    const reason = reasonOf(error)
    this.#log.warn({ event: 'trace-collector', reason }, 'the collector of traces does not take spans; they are lost')
  }

  #back(): void {
    if (!this.#isAway) return
    this.#log.info({ event: 'trace-collector', lost: this.#lostSince }, 'the collector of traces takes spans again')
    this.#isAway = false
    this.#lostSince = 0
  }
}
