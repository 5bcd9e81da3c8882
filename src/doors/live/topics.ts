import type { ClientType } from '../../contract/live/types.gen.ts'

/** Topics that every gateway has. */
const BUILT_IN = ['agents', 'alerts', 'coordination', 'project_index', 'system', 'tasks'] as const

/** What a view starts with, unless its client asks for others. */
const START: Readonly<Record<ClientType, readonly string[]>> = {
  dashboard: ['agents', 'coordination', 'tasks', 'system', 'project_index'],
  agents: ['agents', 'system'],
  coordination: ['coordination', 'alerts', 'system'],
  tasks: ['tasks', 'agents'],
  system: ['system', 'alerts'],
}

/** The view that a path names; undefined: there is none of that name. */
export const viewOf = (name: string): ClientType | undefined =>
  Object.hasOwn(START, name) ? (name as ClientType) : undefined

/** What came of a list of topics that a client asked for. */
export interface Choice {
  /** To be added, in the order asked. */
  readonly added: readonly string[]
  /** Not topics here: unique and sorted. */
  readonly unknown: readonly string[]
  /** Whether some of them were too many. */
  readonly over: boolean
}

/** Which topics there are, and which of them a client gets. */
export class LiveTopics {
  readonly #exact: ReadonlySet<string>
  readonly #prefixes: readonly string[]
  readonly #most: number
  /** Built-in ones and those of the operator, names and patterns, sorted. */
  readonly entries: readonly string[]

  /** @param extra names, or beginnings of names followed by `*`. @param most topics of one socket. */
  constructor(extra: readonly string[], most: number) {
    this.entries = [...new Set([...BUILT_IN, ...extra])].sort()
    this.#exact = new Set(this.entries.filter((entry) => !entry.endsWith('*')))
    this.#prefixes = this.entries.filter((entry) => entry.endsWith('*')).map((entry) => entry.slice(0, -1))
    this.#most = most
  }

  /** The entry that admits a name; undefined: it is no topic here. `name` must be well-formed. */
  entryOf(name: string): string | undefined {
    if (this.#exact.has(name)) return name
    const prefix = this.#prefixes.find((each) => name.startsWith(each) && name !== each)
    return prefix === undefined ? undefined : `${prefix}*`
  }

  /** Sorts out what a client asks for beside what it holds. */
  choose(asked: readonly string[], held: readonly string[], isTopic: (name: string) => boolean): Choice {
    const known = (name: string) => isTopic(name) && this.entryOf(name) !== undefined
    const all = new Set(asked)
    const wanted = [...all].filter((name) => known(name) && !held.includes(name))
    const room = Math.max(0, this.#most - held.length)
    return {
      added: wanted.slice(0, room),
      unknown: [...all].filter((name) => !known(name)).sort(),
      over: wanted.length > room,
    }
  }

  /** What a view starts with. */
  start(view: ClientType): readonly string[] {
    return START[view].slice(0, this.#most)
  }
}
