/** What the gateway and what it depends on are fit for. */
export interface SystemHealth {
  readonly overall_status: string
  readonly components: object
}

export interface LookUpParts {
  /** The number of open session sockets of each agent. */
  readonly sessionsByAgent: () => ReadonlyMap<string, number>
  readonly coordination: () => Promise<object>
  readonly health: () => SystemHealth | Promise<SystemHealth>
}

/** Many may ask at once, and each would look at every socket: an answer serves all for so long. The light run has an age of its own. */
const AGE_MS = { agent_status: 1000, coordination_metrics: 1000, system_health: 250 }

type Name = keyof typeof AGE_MS

/** What `request_data` answers, from the real state of this instance. */
export class StatusCache {
  readonly #kept = new Map<Name, { readonly until: number; readonly data: Promise<object> }>()
  readonly #read: Readonly<Record<Name, () => object | Promise<object>>>

  constructor({ sessionsByAgent, coordination, health }: LookUpParts) {
    this.#read = {
      agent_status: () => agentStatus(sessionsByAgent()),
      coordination_metrics: coordination,
      system_health: health,
    }
  }

  /** Undefined: there is no such data. @throws what the reading throws. */
  async of(dataType: string, now = performance.now()): Promise<object | undefined> {
    if (!Object.hasOwn(AGE_MS, dataType)) return undefined
    const type = dataType as Name
    const kept = this.#kept.get(type)
    if (kept !== undefined && now < kept.until) return kept.data
    const data = Promise.resolve().then(this.#read[type])
    this.#kept.set(type, { until: now + AGE_MS[type], data })
    data.catch(() => this.#kept.delete(type))
    return data
  }
}

function agentStatus(sessions: ReadonlyMap<string, number>): object {
  const agents = [...sessions].sort().map(([agent_id, count]) => ({ agent_id, sessions: count }))
  return { agents, summary: { total: agents.length, active: agents.filter((each) => each.sessions > 0).length } }
}
