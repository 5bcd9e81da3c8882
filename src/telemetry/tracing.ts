import {
  isSpanContextValid,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import { VERSION } from '../platform/version.ts'

/** One thing that is being traced. */
export interface SpanHandle {
  /** For what follows from it. */
  readonly context: SpanContext
  /** Over: how it ended, as the metrics call it, and whom it was for, where that is known by then. Only the first call counts. */
  end(result: string, subject?: string): void
}

/** A trace of each handshake and of each upstream publish. Where it is off there is none of these objects, and the hot path asks no more than that. */
export class Tracing {
  readonly #tracer: Tracer
  readonly #shutdown: () => Promise<void>

  constructor(tracer: Tracer, shutdown: () => Promise<void>) {
    this.#tracer = tracer
    this.#shutdown = shutdown
  }

  /** An upgrade request has come. `traceparent` is the header of that name, which may be anything: one that is not valid starts a trace. */
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

  /** A client frame goes to Redis. Its span is linked with the handshake of its socket and no child of it: sockets live for hours. */
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

  /** Sends what is still here. Resolves in any case, within the exporter's own timeout. */
  async stop(): Promise<void> {
    await this.#shutdown().catch(() => {})
  }
}

/**
 * Traces over OTLP/HTTP to `endpoint` + `/v1/traces`. The SDK is loaded here and only when it is wanted; sampler, headers, timeouts and resource
 * attributes are those of its own `OTEL_*` variables.
 */
export async function startTracing(endpoint: string): Promise<Tracing> {
  const [{ BasicTracerProvider, BatchSpanProcessor }, { OTLPTraceExporter }, resources] = await Promise.all([
    import('@opentelemetry/sdk-trace-base'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
  ])
  const { defaultResource, detectResources, envDetector, resourceFromAttributes } = resources
  const provider = new BasicTracerProvider({
    resource: defaultResource()
      .merge(resourceFromAttributes({ 'service.name': 'wsproxy', 'service.version': VERSION }))
      .merge(detectResources({ detectors: [envDetector] })),
    spanProcessors: [
      new BatchSpanProcessor(new OTLPTraceExporter({ url: `${endpoint.replace(/\/+$/, '')}/v1/traces` })),
    ],
  })
  return new Tracing(provider.getTracer('wsproxy', VERSION), () => provider.shutdown())
}

/** W3C Trace Context, section 3.2; undefined when it is not valid. Later versions may have more parts behind these. */
function parseTraceparent(header: string): SpanContext | undefined {
  const parts = /^(?!ff)([\da-f]{2})-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})(-.*)?$/.exec(header.trim())
  if (parts === null || (parts[1] === '00' && parts[5] !== undefined)) return undefined
  const context = { traceId: parts[2]!, spanId: parts[3]!, traceFlags: Number.parseInt(parts[4]!, 16), isRemote: true }
  return isSpanContextValid(context) ? context : undefined
}
