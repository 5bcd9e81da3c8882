/** Frames of the live door by type, counted only where `METRICS_ALIASES` has `processor`. */

const RECEIVED = ['ping', 'subscribe', 'unsubscribe', 'request_data', 'other']
const SENT = [
  'agent_event',
  'agent_update',
  'connection_established',
  'critical_alert',
  'dashboard_initialized',
  'data_error',
  'data_response',
  'disconnect_notice',
  'error',
  'pong',
  'project_index_event',
  'subscribed',
  'subscription_updated',
  'system_event',
  'task_update',
  'unsubscribed',
  'other',
]
/** The type of a frame that begins with it. Some agents write spaces around the colon. */
const HEAD = /^\s*\{\s*"type"\s*:\s*"([^"]*)"/
const HEAD_BYTES = 64

const zeros = (types: readonly string[]) => new Map(types.map((type) => [type, 0]))

/** The counts. Clients and agents choose types, so every type outside the lists is `other`. */
export class FrameTypes {
  readonly #received = zeros(RECEIVED)
  readonly #sent = zeros(SENT)

  /** Counts a frame of a client. */
  received(type: string): void {
    count(this.#received, type, 1)
  }

  /** Counts a frame to so many sockets. One that does not begin with its type is `other`. */
  sent(frame: Buffer, sockets: number): void {
    count(this.#sent, HEAD.exec(frame.toString('latin1', 0, HEAD_BYTES))?.[1] ?? 'other', sockets)
  }

  /** Both counters in the Prometheus text format, with these labels and `type`. */
  page(prefix: string, labels: Readonly<Record<string, string>>): string {
    const own = Object.entries(labels).map(([name, value]) => `${name}="${value}"`)
    const counter = (name: string, help: string, counts: ReadonlyMap<string, number>) =>
      `# HELP ${name} ${help}\n# TYPE ${name} counter\n` +
      [...counts].map(([type, value]) => `${name}{${[...own, `type="${type}"`].join(',')}} ${value}\n`).join('')
    return (
      counter(`${prefix}_messages_inbound_total`, 'Frames of live clients by type.', this.#received) +
      counter(`${prefix}_messages_outbound_total`, 'Frames to live clients by type.', this.#sent)
    )
  }
}

function count(counts: Map<string, number>, type: string, by: number): void {
  const known = counts.has(type) ? type : 'other'
  counts.set(known, counts.get(known)! + by)
}
