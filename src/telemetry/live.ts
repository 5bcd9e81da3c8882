import type { FrameTypes } from './frame-types.ts'
import { Counter, Gauge, type Registry } from './prometheus.ts'

/** Counts of the live door: plain numbers that a scrape reads. */
export interface LiveCounts {
  errorsSent: number
  backpressureDisconnects: number
  idleDisconnects: number
  /** Messages from Redis that were not fit for their topic. */
  unusable: number
  /**
   * Bytes of topic messages before and after compression, each message once. 0 without compression;
   * messages that were too large or too many to be compressed do not count.
   */
  plainBytes: number
  compressedBytes: number
  /** Envelopes of clients, by how they ended. */
  readonly outbox: Record<(typeof OUTBOX_RESULTS)[number], number>
  /** Sockets of this instance that the last broadcast reached. */
  lastFanout: number
}

/** Values that other parts of the gateway keep. The registry reads them at each scrape. */
export interface LiveReadings {
  readonly sent: number
  readonly dropped: number
  readonly received: number
  readonly overRate: number
  readonly bytesSent: number
  readonly bytesReceived: number
  /** Sums over outcomes of upgrades and close codes. */
  readonly connections: number
  readonly authDenied: number
  readonly originDenied: number
  readonly disconnections: number
  /**
   * Subscriptions by the entry of `LIVE_TOPICS` that admits the topic. A client cannot make a
   * label.
   */
  readonly subscriptions: ReadonlyMap<string, number>
  /** Topics of open sockets whose last message is kept. */
  readonly retained: number
}

/** Label `result` of `wsproxy_live_outbox_total`. */
export const OUTBOX_RESULTS = ['published', 'duplicate', 'refused', 'failed'] as const

const PREFIX = 'wsproxy_live_'

/** The metrics of the live door. They are part of the registry, and also a page of their own. */
export class LiveMetrics {
  readonly counts: LiveCounts = {
    errorsSent: 0,
    backpressureDisconnects: 0,
    idleDisconnects: 0,
    unusable: 0,
    plainBytes: 0,
    compressedBytes: 0,
    outbox: { published: 0, duplicate: 0, refused: 0, failed: 0 },
    lastFanout: 0,
  }
  /** Set where frames are counted by type. */
  types: FrameTypes | undefined
  readonly #registry: Registry
  readonly #names: string[] = []
  #reading: Promise<LiveReadings | undefined> | undefined
  #read: () => Promise<LiveReadings | undefined> = async () => undefined

  constructor(registry: Registry) {
    this.#registry = registry
    const { counts } = this
    this.#counter('messages_sent_total', 'Frames handed to live sockets', (r) => r.sent)
    this.#counter('messages_send_failures_total', 'Frames dropped because the send buffer was full', (r) => r.dropped)
    this.#counter('messages_received_total', 'Frames of clients, dropped ones too', (r) => r.received)
    this.#counter('messages_dropped_rate_limit_total', 'Frames of clients over the rate', (r) => r.overRate)
    this.#counter(
      'messages_unusable_total',
      'Messages from Redis that were not fit for their topic',
      () => counts.unusable,
    )
    this.#counter('errors_sent_total', 'Error frames', () => counts.errorsSent)
    this.#counter('connections_total', 'Sockets that were opened', (r) => r.connections)
    this.#counter('disconnections_total', 'Sockets that were closed', (r) => r.disconnections)
    this.#counter('backpressure_disconnects_total', 'Sockets closed as too slow', () => counts.backpressureDisconnects)
    this.#counter('idle_disconnects_total', 'Sockets closed as idle', () => counts.idleDisconnects)
    this.#counter('auth_denied_total', 'Upgrades without the right credentials', (r) => r.authDenied)
    this.#counter('origin_denied_total', 'Upgrades from an origin that is not allowed', (r) => r.originDenied)
    this.#counter('bytes_sent_total', 'Payload bytes handed to live sockets', (r) => r.bytesSent)
    this.#counter('bytes_received_total', 'Payload bytes of clients', (r) => r.bytesReceived)
    this.#counter('message_plain_bytes_total', 'Messages before compression', () => counts.plainBytes)
    this.#counter('message_compressed_bytes_total', 'Messages after compression', () => counts.compressedBytes)
    this.#outbox()
    this.#gauge('last_broadcast_fanout', 'Sockets here that the last broadcast reached', [], (gauge) =>
      gauge.set(counts.lastFanout),
    )
    this.#gauge('retained_topics', 'Topics of open sockets whose last message is kept', [], (gauge, { retained }) =>
      gauge.set(retained),
    )
    this.#gauge('subscriptions', 'Subscriptions of open sockets', ['subscription'], (gauge, { subscriptions }) => {
      gauge.reset()
      for (const [subscription, count] of subscriptions) gauge.set({ subscription }, count)
    })
  }

  /** Says where the values of `LiveReadings` are read. Until then the counters are 0. */
  register(read: () => Promise<LiveReadings>): void {
    this.#read = read
  }

  /** These metrics alone, in the Prometheus text format. */
  async page(): Promise<string> {
    const texts = await Promise.all(this.#names.map((name) => this.#registry.getSingleMetricAsString(name)))
    return `${texts.join('\n\n')}\n`
  }

  /** The values by name, without the prefix. Those with a label are an object by its values. */
  async values(): Promise<Record<string, number | Record<string, number>>> {
    const metrics = await Promise.all(this.#names.map((name) => this.#registry.getSingleMetric(name)!.get()))
    return Object.fromEntries(
      metrics.map(({ name, values }) => [
        name.slice(PREFIX.length),
        /(subscriptions|outbox_total)$/.test(name)
          ? Object.fromEntries(values.map(({ labels, value }) => [String(Object.values(labels)[0]), value]))
          : (values[0]?.value ?? 0),
      ]),
    )
  }

  /** All metrics of one scrape share one reading. */
  async #readings(): Promise<LiveReadings | undefined> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  #counter(name: string, help: string, value: (readings: LiveReadings) => number): void {
    const readings = () => this.#readings()
    this.#names.push(PREFIX + name)
    new Counter({
      name: PREFIX + name,
      help,
      registers: [this.#registry],
      async collect() {
        const read = await readings()
        this.reset()
        if (read) this.inc(value(read))
      },
    })
  }

  #outbox(): void {
    const { outbox } = this.counts
    const name = `${PREFIX}outbox_total`
    this.#names.push(name)
    new Counter({
      name,
      help: 'Envelopes of clients, by how they ended',
      labelNames: ['result'],
      registers: [this.#registry],
      collect() {
        this.reset()
        for (const result of OUTBOX_RESULTS) this.inc({ result }, outbox[result])
      },
    })
  }

  #gauge<L extends string>(
    name: string,
    help: string,
    labelNames: L[],
    set: (gauge: Gauge<L>, readings: LiveReadings) => void,
  ): void {
    const readings = () => this.#readings()
    this.#names.push(PREFIX + name)
    const gauge: Gauge<L> = new Gauge<L>({
      name: PREFIX + name,
      help,
      labelNames,
      registers: [this.#registry],
      async collect() {
        const read = await readings()
        if (read) set(gauge, read)
      },
    })
  }
}
