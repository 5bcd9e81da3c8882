import type { Connection } from '../../connection/connection.ts'

/** What the gateway and what it depends on are fit for. */
export interface SystemHealth {
  readonly overall_status: string
  readonly components: object
}

export interface LookUpParts {
  /** Every open socket, whatever its door. */
  readonly open: () => Iterable<Connection>
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

  constructor({ open, coordination, health }: LookUpParts) {
    this.#read = {
      agent_status: () => agentStatus(open()),
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

function agentStatus(open: Iterable<Connection>): object {
  const sessions = new Map<string, number>()
  for (const { agent } of open) if (agent !== undefined) sessions.set(agent, (sessions.get(agent) ?? 0) + 1)
  const agents = [...sessions].sort().map(([agent_id, count]) => ({ agent_id, sessions: count }))
  return { agents, summary: { total: agents.length, active: agents.filter((each) => each.sessions > 0).length } }
}
