/** Ids and the Redis names made from them. The only place where a name is built or taken apart. */

const ID = /^[A-Za-z0-9_.-]{1,128}$/

/** Whether `text` may be an agent id or a session id. Such an id holds no `:` and no glob, so it cannot reach into another name. */
export const isId = (text: string): boolean => ID.test(text)

/** Channel on which an agent speaks to the clients of a session. */
export const sessionDown = (id: string): string => `session:${id}:down`

/** Channel on which clients of a session speak to its agent. */
export const sessionUp = (id: string): string => `session:${id}:up`

/** String key that holds the token with which a client enters a session. */
export const sessionAuth = (id: string): string => `session:${id}:auth`

/** String key that says while a client of the session is slow. */
export const sessionFlow = (id: string): string => `session:${id}:flow`

/** Channel on which changes of that are told. */
export const sessionControl = (id: string): string => `session:${id}:ctl`

const RUN_ID = /^[A-Za-z0-9_.;-]{1,128}$/

/** Whether `text` may be a run id: the key of the run's hash. */
export const isRunId = (text: string): boolean => RUN_ID.test(text)

/** String key that holds the token with which a client may see a run, where tokens are asked for. */
export const runAuth = (id: string): string => `run:${id}:auth`

/** Channel on which Redis tells that the key `id` of a database has changed (Redis: keyspace notifications). */
export const runEvents = (database: number, id: string): string => `__keyspace@${database}__:${id}`

/** The run id in the name of such a channel. */
export const runOf = (channel: string): string => channel.slice(channel.indexOf(':') + 1)

const EVENT_TYPE = /^[a-z0-9_.-]{1,64}$/

/** Whether `text` may be the type of an event that is checked before its launch. */
export const isEventType = (text: string): boolean => EVENT_TYPE.test(text)

/** Key that exists while a campaign may not send another event of this type. */
export const cooldown = (eventType: string, campaignId: string): string => `cooldown:${eventType}:${campaignId}`

/** Hash that says by event type which events are switched off. */
export const EVENTS_CONFIG = 'events:config'

/** Stream with an entry a preflight report. */
export const PREFLIGHT_REPORTS = 'preflight:reports'

/** Hash in which the runs of one hour or day are counted. The braces keep it in the slot of the stream, with which it is written. */
export const preflightCounts = (unit: 'hour' | 'day', number: number): string =>
  `{${PREFLIGHT_REPORTS}}:${unit}:${number}`

/** Hash that tells where in the stream the reports made on one day are, by their id. */
export const preflightPlaces = (day: number): string => `{${PREFLIGHT_REPORTS}}:places:${day}`

/** The session that a check pretends to be, so that it may do what sessions may and nobody else hears it. */
export const privateSession = (random: string): string => `preflight.${random}`

const TOPIC = /^[a-z0-9_.-]{1,64}$/

/** Whether `text` may be the name of a topic of the live door. It holds no `:` and no glob either. */
export const isTopic = (text: string): boolean => TOPIC.test(text)

/** Whether `text` may stand in a list of topics: a name, or the beginning of names followed by `*`. */
export const isTopicRule = (text: string): boolean => isTopic(text.endsWith('*') ? text.slice(0, -1) : text)

const SYSTEM_EVENTS = 'system_events'
const AGENT_EVENTS = 'agent_events:'
const PROJECT_INDEX = 'project_index:websocket_events'
const LIVE = 'live:'

/** Channels of a topic beside its own: those of agents that knew no topics. One with a `*` is a pattern (Redis: PSUBSCRIBE). */
const OLDER: Readonly<Record<string, string>> = {
  system: SYSTEM_EVENTS,
  agents: `${AGENT_EVENTS}*`,
  project_index: PROJECT_INDEX,
}

/** The channel on which anybody publishes to a topic. */
export const liveChannel = (topic: string): string => LIVE + topic

/** All channels of a topic, its own first. */
export const liveChannels = (topic: string): string[] => {
  const older = Object.hasOwn(OLDER, topic) ? OLDER[topic] : undefined
  return older === undefined ? [liveChannel(topic)] : [liveChannel(topic), older]
}

/** The topic whose own channel this is. */
export const topicOf = (channel: string): string => channel.slice(LIVE.length)

/** What kind of message comes on a channel of a live topic. */
export type LiveKind = 'topic' | 'system' | 'agent' | 'project-index'

/** `channel` is one of `liveChannels`, or matches its pattern. */
export function liveKind(channel: string): LiveKind {
  if (channel.startsWith(LIVE)) return 'topic'
  if (channel.startsWith(AGENT_EVENTS)) return 'agent'
  return channel === SYSTEM_EVENTS ? 'system' : 'project-index'
}

/** The agent that a channel of agent events names. */
export const agentOf = (channel: string): string => channel.slice(AGENT_EVENTS.length)

/** Channel on which the instances of the gateway send each other orders. Every instance listens. */
export const liveBus = (): string => 'wsproxy:live'

/** Channel on which one instance receives the answers to its orders. `instance` is up to 16 letters and digits. */
export const liveAnswers = (instance: string): string => `wsproxy:live:${instance}`

const LIVE_ANSWERS = /^wsproxy:live:[a-z0-9]{1,16}$/

/** Whether `channel` may be one of `liveAnswers`: an answer is published to no other. */
export const isLiveAnswers = (channel: string): boolean => LIVE_ANSWERS.test(channel)

/** Channel on which one instance hears whether its own messages come back. */
export const redisCanary = (instance: string): string => `wsproxy:canary:${instance}`

/** Whether `channel` is `:down` or `:up` of a session: those may be sharded. */
export const isSessionChannel = (channel: string): boolean => channel.startsWith('session:')

/** What decides on the server in a cluster: the events of a run come from where its key is; all else goes by its own name. */
export const slotKey = (name: string): string => (name.startsWith('__keyspace@') ? runOf(name) : name)

/** Whether a name that is subscribed is a pattern (Redis: PSUBSCRIBE). No id holds a `*`. */
export const isPattern = (channel: string): boolean => channel.includes('*')
