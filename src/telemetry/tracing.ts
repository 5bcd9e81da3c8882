import {
  isSpanContextValid,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import { environment } from '../config/env.ts'
import { VERSION } from '../platform/version.ts'
import { Collector } from './collector.ts'
import type { Logger } from './log.ts'

/** Spans that wait for their export; the SDK's own default. */
const MAX_WAITING = 2048

/** A span that has not ended. */
export interface SpanHandle {
  /** For spans that link to this one. */
  readonly context: SpanContext
  /**
   * Ends the span with the result, as the metrics call it, and the subject where it is known. Later
   * calls do nothing.
   */
  end(result: string, subject?: string): void
}

/**
 * Traces each handshake and each upstream publish. Without tracing there is no such object, and the
 * hot path only checks for undefined.
 */
export class Tracing {
  readonly #tracer: Tracer
  readonly #shutdown: () => Promise<void>
  readonly #lost: () => number

  /** @param lost returns the number of spans that the collector did not take. Default: none. */
  constructor(tracer: Tracer, shutdown: () => Promise<void>, lost: () => number = () => 0) {
    this.#tracer = tracer
    this.#shutdown = shutdown
    this.#lost = lost
  }

  /** Spans that the collector did not take, since the start. */
  get lostSpans(): number {
    return this.#lost()
  }

  /**
   * Starts the span of an upgrade. `traceparent` is the header of that name. A header that is not
   * valid starts a new trace.
   */
  handshake(door: string, traceparent: string): SpanHandle {
    const parent = parseTraceparent(traceparent)
    const context = parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent)
    const attributes = { 'wsproxy.door': door }
    const span = this.#tracer.startSpan('wsproxy handshake', { kind: SpanKind.SERVER, attributes }, context)
    const end = (result: string, subject?: string) => {
      span.setAttribute('wsproxy.result', result)
      if (subject !== undefined) span.setAttribute('wsproxy.subject', subject)
      if (result === 'internal-error' || result.startsWith('redis-')) span.setStatus({ code: SpanStatusCode.ERROR })
      span.end()
    }
    return { context: span.spanContext(), end }
  }

  /**
   * Starts the span of a client frame on its way to Redis. It links to the handshake of its socket.
   * It is not a child, since a socket lives for hours.
   */
  publish(channel: string, bytes: number, handshake: SpanContext | undefined): SpanHandle {
    const attributes = {
      'messaging.system': 'redis',
      'messaging.operation.type': 'send',
      'messaging.destination.name': channel,
      'messaging.message.body.size': bytes,
    }
    const links = handshake === undefined ? [] : [{ context: handshake }]
    const span = this.#tracer.startSpan('wsproxy publish', { kind: SpanKind.PRODUCER, attributes, links }, ROOT_CONTEXT)
    const end = (result: string) => {
      span.setAttribute('wsproxy.result', result)
      if (result !== 'published') span.setStatus({ code: SpanStatusCode.ERROR })
      span.end()
    }
    return { context: span.spanContext(), end }
  }

  /** Sends the remaining spans. Never rejects; resolves within the exporter's own timeout. */
  async stop(): Promise<void> {
    await this.#shutdown().catch(() => {})
  }
}

/**
 * Sends traces over OTLP/HTTP to `endpoint` + `/v1/traces`. Loads the SDK, which is not loaded
 * without tracing. The SDK reads its own `OTEL_*` variables for the sampler, headers, timeouts and
 * resource attributes.
 */
export async function startTracing(endpoint: string, log: Logger): Promise<Tracing> {
  const [{ BasicTracerProvider, BatchSpanProcessor }, { OTLPTraceExporter }, resources] = await Promise.all([
    import('@opentelemetry/sdk-trace-base'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
  ])
  const { defaultResource, detectResources, envDetector, resourceFromAttributes } = resources
  const collector = new Collector(log, Number(environment().OTEL_BSP_MAX_QUEUE_SIZE) || MAX_WAITING)
  const exporter = collector.exporter(new OTLPTraceExporter({ url: `${endpoint.replace(/\/+$/, '')}/v1/traces` }))
  const provider = new BasicTracerProvider({
    resource: defaultResource()
      .merge(resourceFromAttributes({ 'service.name': 'wsproxy', 'service.version': VERSION }))
      .merge(detectResources({ detectors: [envDetector] })),
    spanProcessors: [collector.processor(new BatchSpanProcessor(exporter))],
  })
  const tracer = provider.getTracer('wsproxy', VERSION)
  return new Tracing(
    tracer,
    () => provider.shutdown(),
    () => collector.lost,
  )
}

/**
 * Parses a header (W3C Trace Context, section 3.2); undefined when it is not valid. Later versions
 * may append parts.
 */
function parseTraceparent(header: string): SpanContext | undefined {
  const parts = /^(?!ff)([\da-f]{2})-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})(-.*)?$/.exec(header.trim())
  if (parts === null || (parts[1] === '00' && parts[5] !== undefined)) return undefined
  const context = { traceId: parts[2]!, spanId: parts[3]!, traceFlags: Number.parseInt(parts[4]!, 16), isRemote: true }
  return isSpanContextValid(context) ? context : undefined
}
