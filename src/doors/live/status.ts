/** The state of the gateway and of its dependencies. */
export interface SystemHealth {
  readonly overall_status: string
  readonly components: object
}

export interface StatusParts {
  /** The number of open session sockets of each agent, in all workers. */
  readonly sessionsByAgent: () => Promise<ReadonlyMap<string, number>>
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
      agent_status: async () => agentStatus(await sessionsByAgent()),
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

interface AgentStatus {
  /** Sorted by id. */
  readonly agents: readonly { readonly agent_id: string; readonly sessions: number }[]
  readonly summary: object
}

function agentStatus(sessions: ReadonlyMap<string, number>): AgentStatus {
  const agents = [...sessions].map(([agent_id, count]) => ({ agent_id, sessions: count }))
  agents.sort((a, b) => (a.agent_id < b.agent_id ? -1 : 1))
  return { agents, summary: { total: agents.length, active: agents.filter((each) => each.sessions > 0).length } }
}

/** The most agents of one answer. */
const MAX_PAGE = 1000

/** The part of a status that a client asked for. Only the list of agents has parts. */
export function pageOf(data: object, params: unknown): object {
  if (!('agents' in data)) return data
  const { agents, ...rest } = data as AgentStatus
  const { limit, after } = Object(params) as { readonly limit?: unknown; readonly after?: unknown }
  const first = typeof after === 'string' ? agents.findIndex(({ agent_id }) => agent_id > after) : 0
  const size = Number.isInteger(limit) ? Math.min(Math.max(limit as number, 1), MAX_PAGE) : MAX_PAGE
  const page = first < 0 ? [] : agents.slice(first, first + size)
  const hasMore = first >= 0 && first + size < agents.length
  return { agents: page, ...rest, ...(hasMore && { next: page.at(-1)!.agent_id }) }
}
