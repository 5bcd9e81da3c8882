/** The state of the gateway and of its dependencies. */
export interface SystemHealth {
  readonly overall_status: string
  readonly components: object
}

export interface StatusParts {
  /** The number of open session sockets of each agent. */
  readonly sessionsByAgent: () => ReadonlyMap<string, number>
  readonly coordination: () => Promise<object>
  readonly health: () => SystemHealth | Promise<SystemHealth>
}

/**
 * How long an answer is reused, in ms. Many clients ask at once, and each reading visits every
 * socket. The light preflight run behind `system_health` has its own cache.
 */
const MAX_AGE_MS = { agent_status: 1000, coordination_metrics: 1000, system_health: 250 }

type DataType = keyof typeof MAX_AGE_MS

/** Answers `request_data` from the state of this instance. */
export class StatusCache {
  readonly #kept = new Map<DataType, { readonly until: number; readonly data: Promise<object> }>()
  readonly #read: Readonly<Record<DataType, () => object | Promise<object>>>

  constructor({ sessionsByAgent, coordination, health }: StatusParts) {
    this.#read = {
      agent_status: () => agentStatus(sessionsByAgent()),
      coordination_metrics: coordination,
      system_health: health,
    }
  }

  /** Resolves with undefined for an unknown `dataType`. Rejects when the reading fails. */
  async of(dataType: string, now = performance.now()): Promise<object | undefined> {
    if (!Object.hasOwn(MAX_AGE_MS, dataType)) return undefined
    const type = dataType as DataType
    const kept = this.#kept.get(type)
    if (kept !== undefined && now < kept.until) return kept.data
    const data = Promise.resolve().then(this.#read[type])
    this.#kept.set(type, { until: now + MAX_AGE_MS[type], data })
    data.catch(() => this.#kept.delete(type))
    return data
  }
}

function agentStatus(sessions: ReadonlyMap<string, number>): object {
  const agents = [...sessions].sort().map(([agent_id, count]) => ({ agent_id, sessions: count }))
  return { agents, summary: { total: agents.length, active: agents.filter((each) => each.sessions > 0).length } }
}
