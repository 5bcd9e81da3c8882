import type { Rights } from '../../connection/auth.ts'
import type { Topic } from '../../connection/bind.ts'
import type { Connection } from '../../connection/connection.ts'
import type { ClientType } from '../../contract/live/types.gen.ts'
import { topicOf } from '../../contract/names.ts'

/** Topics that every gateway has. */
export const BUILT_IN = ['agents', 'alerts', 'coordination', 'project_index', 'system', 'tasks'] as const

/** The topics that a view starts with, unless its client asks for others. */
const START: Readonly<Record<ClientType, readonly string[]>> = {
  dashboard: ['agents', 'coordination', 'tasks', 'system', 'project_index'],
  agents: ['agents', 'system'],
  coordination: ['coordination', 'alerts', 'system'],
  tasks: ['tasks', 'agents'],
  system: ['system', 'alerts'],
}

/** Types that older clients know in the singular. */
const UPDATES: Readonly<Record<string, string>> = { agents: 'agent_update', tasks: 'task_update' }

/** The type of a frame of this topic whose agent names none. */
export const updateOf = (topic: string): string => (Object.hasOwn(UPDATES, topic) ? UPDATES[topic]! : `${topic}_update`)

/** The name that clients use for a topic of this door, whose first channel is `live:<name>`. */
export const nameOf = ({ channels }: Topic): string => topicOf(channels[0]!)

/** The view with this name; undefined for any other name. */
export const viewOf = (name: string): ClientType | undefined =>
  Object.hasOwn(START, name) ? (name as ClientType) : undefined

/**
 * What the JWT of a socket grants: names, or prefixes followed by `*`; with a `!` before them, what
 * it does not grant. Undefined: all topics.
 */
export type GrantedTopics = readonly string[] | undefined

/** What the live door keeps for a socket that came with a JWT. */
export interface LiveState {
  granted: GrantedTopics
  publishTopics: readonly string[]
  readonly subject: string | undefined
}

/** The part of the rights of a JWT that the door keeps. */
export type LiveRights = Pick<Rights, 'topics' | 'publishTopics' | 'subject'>

export const stateFor = ({ topics, publishTopics, subject }: LiveRights): LiveState => ({
  granted: topics,
  publishTopics,
  subject,
})

export const stateOf = ({ doorState }: Connection): LiveState | undefined => doorState as LiveState | undefined

export const grantedTo = (connection: Connection): GrantedTopics => stateOf(connection)?.granted

export const isGranted = (granted: GrantedTopics, name: string): boolean =>
  granted === undefined ||
  (granted.some((each) => matches(each, name)) &&
    !granted.some((each) => each.startsWith('!') && matches(each.slice(1), name)))

const matches = (rule: string, name: string): boolean =>
  rule.endsWith('*') ? name.startsWith(rule.slice(0, -1)) : rule === name

/** The result of choosing among the topics that a client asked for. */
export interface Choice {
  /** Names to add, in the order asked. */
  readonly added: readonly string[]
  /** Names that are not topics here, unique and sorted. */
  readonly unknown: readonly string[]
  /** Topics that the JWT of the socket does not grant, unique and sorted. */
  readonly denied: readonly string[]
  /** Whether the limit of topics per socket left some out. */
  readonly over: boolean
}

/** The topics that clients of this gateway may subscribe to. */
export class LiveTopics {
  readonly #exact: ReadonlySet<string>
  readonly #prefixes: readonly string[]
  readonly #maxPerSocket: number
  readonly #denied: (topics: readonly string[]) => void
  /** What a client without a JWT may have. Undefined: all topics. */
  readonly shared: LiveRights | undefined
  /** Names and patterns, built in or set by the operator, sorted. */
  readonly entries: readonly string[]

  /**
   * @param extra topics beside the built-in ones: names, or prefixes followed by `*`.
   * @param maxPerSocket the number of topics that one socket may hold.
   * @param denied called with topics that a socket asked for and may not have.
   * @param shared what a client without a JWT may have. Undefined: all topics.
   */
  constructor(
    extra: readonly string[],
    maxPerSocket: number,
    denied: (topics: readonly string[]) => void = () => {},
    shared?: LiveRights,
  ) {
    this.entries = [...new Set([...BUILT_IN, ...extra])].sort()
    this.#exact = new Set(this.entries.filter((entry) => !entry.endsWith('*')))
    this.#prefixes = this.entries.filter((entry) => entry.endsWith('*')).map((entry) => entry.slice(0, -1))
    this.#maxPerSocket = maxPerSocket
    this.#denied = denied
    this.shared = shared
  }

  /** The entry that admits a well-formed name; undefined when the name is not a topic here. */
  entryOf(name: string): string | undefined {
    if (this.#exact.has(name)) return name
    const prefix = this.#prefixes.find((each) => name.startsWith(each) && name !== each)
    return prefix === undefined ? undefined : `${prefix}*`
  }

  /** Chooses which of the `asked` names a socket may add to those that it has `held` so far. */
  choose(
    asked: readonly string[],
    held: readonly string[],
    isTopic: (name: string) => boolean,
    granted?: GrantedTopics,
  ): Choice {
    const known = (name: string) => isTopic(name) && this.entryOf(name) !== undefined
    const all = new Set(asked)
    const wanted = [...all].filter((name) => known(name) && isGranted(granted, name) && !held.includes(name))
    const denied =
      granted === undefined ? [] : [...all].filter((name) => known(name) && !isGranted(granted, name)).sort()
    const room = Math.max(0, this.#maxPerSocket - held.length)
    return {
      added: wanted.slice(0, room),
      unknown: [...all].filter((name) => !known(name)).sort(),
      denied,
      over: wanted.length > room,
    }
  }

  /** Counts and logs the `denied` of a choice that counts. */
  report({ denied }: Pick<Choice, 'denied'>): void {
    if (denied.length > 0) this.#denied(denied)
  }

  /** The topics that a view starts with, as far as they are granted. */
  start(view: ClientType, granted?: GrantedTopics): readonly string[] {
    return START[view].filter((name) => isGranted(granted, name)).slice(0, this.#maxPerSocket)
  }
}
