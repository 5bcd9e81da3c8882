/** Ids, and the Redis names that are made from them. Names are built and parsed nowhere else. */

const ID = /^[A-Za-z0-9_.~@=+:-]{1,200}$/

/**
 * Whether `text` may be a session id, an agent id or a campaign id. It has no glob and no brace.
 * Each name of a session has a suffix of its own, so a `:` in an id cannot make it another name.
 */
export const isId = (text: string): boolean => ID.test(text)

/** First segments of the gateway's own paths. */
const OWN_SEGMENTS: ReadonlySet<string> = new Set(
  'live api admin dashboard health ready livez readyz metrics version socket.io'.split(' '),
)

/** Whether an agent id or a run id is also the first segment of one of the gateway's own paths. */
export const isOwnSegment = (id: string): boolean => OWN_SEGMENTS.has(id)

const KEY_PREFIX = /^[A-Za-z0-9_.-]{1,32}:$/
/** First parts of the names below. A prefix that is one of them could make one name another's. */
const OWN_FIRST_PARTS: ReadonlySet<string> = new Set(
  'session: run: live: wsproxy: cooldown: events: preflight: agent_events: project_index:'.split(' '),
)

/** Whether `text` may be `REDIS_KEY_PREFIX`. */
export const isKeyPrefix = (text: string): boolean =>
  text === '' || (KEY_PREFIX.test(text) && !OWN_FIRST_PARTS.has(text))

let prefix = ''
/** The gateways of this process that have not stopped. */
let users = 0

/**
 * Puts `REDIS_KEY_PREFIX` before every key and channel that this file makes from now on. A process
 * has one prefix; the composition root sets it before it connects to Redis.
 */
export const useKeyPrefix = (text: string): void => {
  prefix = text
}

/**
 * Does the same for a gateway, until the returned function is called.
 * @throws Error when another gateway of this process has another prefix: it would read and write
 * the keys of this one.
 */
export function holdKeyPrefix(text: string): () => void {
  if (users > 0 && text !== prefix)
    throw new Error(
      `REDIS_KEY_PREFIX is ${JSON.stringify(text)}, and ${JSON.stringify(prefix)} in another gateway of this process. ` +
        'Give both the same, or run them in two processes.',
    )
  users++
  useKeyPrefix(text)
  let isHeld = true
  return () => {
    if (isHeld) users--
    isHeld = false
  }
}

/** A key or channel of an embedding program, with the prefix of the gateway. */
export const withKeyPrefix = (name: string): string => prefix + name

/** Channel from an agent to the clients of a session. */
export const sessionDown = (id: string): string => `${prefix}session:${id}:down`

/** Channel from the clients of a session to its agent. */
export const sessionUp = (id: string): string => `${prefix}session:${id}:up`

/** Key of the token with which a client enters a session: a string, or a set of several tokens. */
export const sessionAuth = (id: string): string => `${prefix}session:${id}:auth`

/**
 * String key that exists while a used token of a set is still valid. `authKey` is the key of the
 * set, `sha256` that of the token in hexadecimal.
 */
export const usedToken = (authKey: string, sha256: string): string => `${authKey}:${sha256}`

/** String key that exists while a client of the session is slow. */
export const sessionFlow = (id: string): string => `${prefix}session:${id}:flow`

/** Channel on which the gateway publishes changes of `sessionFlow`. */
export const sessionControl = (id: string): string => `${prefix}session:${id}:ctl`

/**
 * Stream with the numbered messages of a session. The braces put it in the slot of the channel, so
 * that one script writes the log and publishes.
 */
export const sessionLog = (id: string): string => `{${sessionDown(id)}}:log`

/** Hash with the epoch of `sessionLog` and what its script keeps. */
export const sessionMeta = (id: string): string => `{${sessionDown(id)}}:meta`

/** String key that names the run that a client of the session has cancelled. */
export const sessionCancel = (id: string): string => `${prefix}session:${id}:cancel`

/**
 * String key that remembers a frame that a client has posted under an idempotency key. Its slot is
 * that of the channel, which its script publishes to.
 */
export const sessionPosted = (id: string, keyHash: string): string => `{${sessionUp(id)}}:posted:${keyHash}`

const RUN_ID = /^[A-Za-z0-9_.~@=+;-]{1,200}$/

/**
 * Whether `text` may be a run id. It has no `:`, so the key of a run is no other name of this file.
 */
export const isRunId = (text: string): boolean => RUN_ID.test(text)

/** Hash key of a run. */
export const runKey = (id: string): string => prefix + id

/** Key of the token with which a client may see a run, where runs need tokens; also a set. */
export const runAuth = (id: string): string => `${prefix}run:${id}:auth`

/** Channel on which Redis publishes changes of a key of a database (keyspace notifications). */
export const keyEvents = (database: number, key: string): string => `__keyspace@${database}__:${key}`

/** Channel on which Redis publishes changes of a run. */
export const runEvents = (database: number, id: string): string => keyEvents(database, runKey(id))

/** The key in the name of a channel of `keyEvents`. */
const keyIn = (channel: string): string => channel.slice(channel.indexOf(':') + 1)

/** The run id in the name of a channel of `runEvents`. */
export const runOf = (channel: string): string => keyIn(channel).slice(prefix.length)

const EVENT_TYPE = /^[a-z0-9_.-]{1,64}$/

/** Whether `text` may be the type of an event whose launch is checked. */
export const isEventType = (text: string): boolean => EVENT_TYPE.test(text)

/** Key that exists while a campaign must not launch another event of this type. */
export const cooldown = (eventType: string, campaignId: string): string =>
  `${prefix}cooldown:${eventType}:${campaignId}`

/** Hash of the event types that are switched off. */
export const eventsConfig = (): string => `${prefix}events:config`

/** Stream with one entry per preflight report. */
export const preflightReports = (): string => `${prefix}preflight:reports`

/**
 * Hash with the counts of the runs of one hour or day. The braces put it in the slot of the stream,
 * since one script writes both.
 */
export const preflightCounts = (unit: 'hour' | 'day', number: number): string =>
  `{${preflightReports()}}:${unit}:${number}`

/** Hash from the id of each report of one day to its place in the stream. */
export const preflightPlaces = (day: number): string => `{${preflightReports()}}:places:${day}`

/** A session id for a check: it has the rights of a session, and no client listens to it. */
export const privateSession = (random: string): string => `preflight.${random}`

const TOPIC = /^[a-z0-9_.-]{1,64}$/

/** Whether `text` may be the name of a topic of the live door. It has no `:` and no glob. */
export const isTopic = (text: string): boolean => TOPIC.test(text)

/** Whether `text` may stand in `LIVE_TOPICS` or `LIVE_LAST`: a name, or a prefix and a `*`. */
export const isTopicRule = (text: string): boolean => isTopic(text.endsWith('*') ? text.slice(0, -1) : text)

const SYSTEM_EVENTS = 'system_events'
const AGENT_EVENTS = 'agent_events:'
const PROJECT_INDEX = 'project_index:websocket_events'
const LIVE = 'live:'

/**
 * Further channels of a topic, for agents that are older than topics. One with a `*` is a pattern
 * (PSUBSCRIBE).
 */
const OLDER: Readonly<Record<string, string>> = {
  system: SYSTEM_EVENTS,
  agents: `${AGENT_EVENTS}*`,
  project_index: PROJECT_INDEX,
}

/** All channels of `OLDER`. */
export const olderChannels = (): string[] => Object.values(OLDER).map((each) => prefix + each)

/** The channel on which agents publish to a topic. */
export const liveChannel = (topic: string): string => prefix + LIVE + topic

/** All channels of a topic, its own first. */
export const liveChannels = (topic: string): string[] => {
  const older = Object.hasOwn(OLDER, topic) ? OLDER[topic] : undefined
  return older === undefined ? [liveChannel(topic)] : [liveChannel(topic), prefix + older]
}

/** String key with the last message of a topic (`LIVE_LAST`), as it was published. */
export const liveLast = (topic: string): string => `${prefix}${LIVE}last:${topic}`

/** The name of the topic in a channel of `liveChannel`. */
export const topicOf = (channel: string): string => channel.slice(prefix.length + LIVE.length)

/**
 * Stream with the envelopes that clients have published on a topic. The braces put what belongs to
 * it in one slot, since one script writes all of it.
 */
export const outboxLog = (topic: string): string => `{${liveChannel(topic)}}:outbox`

/** String key that exists for 7 days after an envelope. `subject` has letters, digits, - and _. */
export const outboxSeen = (topic: string, subject: string, uuid: string): string =>
  `{${liveChannel(topic)}}:seen:${subject}:${uuid}`

/** String key with the number of envelopes of a subject on one day. */
export const outboxCount = (topic: string, subject: string, day: number | '*'): string =>
  `{${liveChannel(topic)}}:count:${subject}:${day}`

/** The kind of message on a channel of a live topic. */
export type LiveKind = 'topic' | 'system' | 'agent' | 'project-index'

/** `channel` is one of `liveChannels`, or matches its pattern. */
export function liveKind(channel: string): LiveKind {
  const at = prefix.length
  if (channel.startsWith(LIVE, at)) return 'topic'
  if (channel.startsWith(AGENT_EVENTS, at)) return 'agent'
  return channel.startsWith(SYSTEM_EVENTS, at) ? 'system' : 'project-index'
}

/** The agent that a channel of agent events names. */
export const agentOf = (channel: string): string => channel.slice(prefix.length + AGENT_EVENTS.length)

/**
 * Channel on which the instances of the gateway send each other commands. Every instance listens.
 */
export const liveBus = (): string => `${prefix}wsproxy:live`

/**
 * Channel on which one instance receives the answers to its commands. `instance` is up to 16
 * letters and digits.
 */
export const liveAnswers = (instance: string): string => `${prefix}wsproxy:live:${instance}`

const INSTANCE = /^[a-z0-9]{1,16}$/

/** Whether `text` may be the name of an instance, from which `liveAnswers` makes a channel. */
export const isInstance = (text: string): boolean => INSTANCE.test(text)

/** Channel on which one instance publishes messages to itself, to test that Redis delivers. */
export const redisCanary = (instance: string): string => `${prefix}wsproxy:canary:${instance}`

/** Hash with the secrets that sign resume tickets: one field for each day since the epoch. */
export const ticketSecrets = (): string => `${prefix}wsproxy:ticket-secret`

/** Sorted set of what revokes resume tickets, by version. */
export const revokedSet = (): string => `${prefix}wsproxy:revoked`

/** What the set says of the admission with this `sid`. */
export const revokedSid = (sid: string): string => `sid:${sid}`

/** What the set says of the JWT with this `jti`. */
export const revokedTokenId = (jti: string): string => `jti:${jti}`

/** How the set names a session; behind it come `:` and the last moment of the admissions. */
export const revokedSession = (id: string): string => `session:${id}`

/** How the set names the `sub` of JWTs; behind it come `:` and the last moment of their `iat`. */
export const revokedSubject = (sub: string): string => `sub:${sub}`

/** Hash that the gateway writes and deletes to find out which keyspace events Redis publishes. */
export const keyspaceProbe = (random: string): string => `${prefix}wsproxy:probe:${random}`

/** Whether `channel` is the `:down` or `:up` of a session. Those may be sharded. */
export const isSessionChannel = (channel: string): boolean => channel.startsWith('session:', prefix.length)

/**
 * Whether any server of a cluster can serve this name, a channel: PUBLISH reaches all of them.
 * Keys, keyspace events and `sharded` session channels belong to one server.
 */
export function isPlainChannel(name: string, sharded: boolean): boolean {
  if (isSessionChannel(name)) return !sharded && (name.endsWith(':down') || name.endsWith(':up'))
  return name.startsWith(LIVE, prefix.length) || name.startsWith(liveBus()) || olderChannels().includes(name)
}

/**
 * The name that decides on the server in a cluster: the events of a run come from the server of its
 * key.
 */
export const slotKey = (name: string): string => (name.startsWith('__keyspace@') ? keyIn(name) : name)

/** The kind of a channel. An ACL of Redis has a pattern for each. */
export const channelKind = (channel: string): 'session' | 'run' | 'other' =>
  isSessionChannel(channel) ? 'session' : channel.startsWith('__keyspace@') ? 'run' : 'other'

/** Whether a name that is subscribed is a pattern (Redis: PSUBSCRIBE). No id holds a `*`. */
export const isPattern = (channel: string): boolean => channel.includes('*')
