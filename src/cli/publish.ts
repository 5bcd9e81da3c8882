import { createInterface } from 'node:readline'
import { parseDuration } from '../config/kinds.ts'
import { loadConfig } from '../config/load.ts'
import { isId, isRunId, isTopic, liveChannel, liveLast, runKey, sessionDown } from '../contract/names.ts'
import { reasonOf } from '../platform/reason.ts'
import { CommandFailed, Misused } from './failure.ts'
import { type Agent, asAgent } from './redis.ts'

export interface PublishOptions {
  /** The first word is a topic of the live door, not a session. */
  readonly topic: boolean
  /** The first word is a run; the others are its fields. */
  readonly run: boolean
  /** Append the message to the log of the session, with these flags of the script. */
  readonly log: boolean
  readonly flags: string
  /** How long the topic keeps the message as its last one, for instance `1h`. '': it does not. */
  readonly last: string
}

const FLAGS = ['snapshot', 'close', 'ephemeral', 'sharded']

/**
 * Publishes to a session or a topic, as an agent would, or sets fields of a run.
 * @param words the session or topic and its message, or the run and each `field=value`.
 * @throws Misused for an invalid id, field or JSON text. @throws CommandFailed when no gateway has
 * subscribed, so that the message is lost.
 */
export async function publish(
  words: readonly string[],
  { topic, run, log, flags, last }: PublishOptions,
): Promise<void> {
  if (topic && run) throw new Misused('--topic and --run exclude each other')
  if (log && (topic || run)) throw new Misused('--log is for sessions')
  const unknown = flags.split(',').find((flag) => flag !== '' && !FLAGS.includes(flag))
  if (unknown !== undefined) throw new Misused(`--flags: "${unknown}" is none of ${FLAGS.join(', ')}`)
  if (flags !== '' && !log) throw new Misused('--flags needs --log')
  if (last !== '' && !topic) throw new Misused('--last needs --topic')
  const lifeMs = last === '' ? 0 : parseDuration(last)
  if (lifeMs === undefined || (last !== '' && lifeMs < 1)) throw new Misused(`--last: "${last}" is no duration, as 1h`)
  if (run) return publishRun(words)
  const [name = '', json, ...more] = words
  if (json === undefined || more.length > 0)
    throw new Misused(`give ${topic ? 'a topic' : 'a session'} and one JSON message (quote it), or - for stdin`)
  if (topic && !isTopic(name)) throw new Misused(`"${name}" is not a topic: 1 to 64 of [a-z0-9_.-]`)
  if (!topic && !isId(name)) throw new Misused(`"${name}" is not a session id: 1 to 200 of [A-Za-z0-9_.~@=+:-]`)
  if (json !== '-') assertJson(json)
  const what = `${topic ? 'topic' : 'session'} ${name}`
  await asAgent(loadConfig().config, async (agent) => {
    const channel = topic ? liveChannel(name) : sessionDown(name)
    // Opened late: readline drops lines that arrive before a listener exists.
    const lines = json === '-' ? createInterface({ input: process.stdin }) : [json]
    for await (const line of lines) {
      if (lifeMs > 0) await keepLine(agent, name, line, lifeMs)
      await (log ? sayLine(agent, name, line, flags) : publishLine(agent, channel, line, what, lifeMs > 0))
    }
  })
}

/** Kept before it is published, so that no client misses both. */
async function keepLine(agent: Agent, topic: string, line: string, lifeMs: number): Promise<void> {
  assertJson(line)
  await agent.set(liveLast(topic), line, lifeMs)
}

async function publishLine(agent: Agent, channel: string, line: string, what: string, isKept: boolean): Promise<void> {
  assertJson(line)
  const receivers = await agent.publish(channel, line)
  if (receivers === 0 && !isKept) throw new CommandFailed(`no gateway has a client of ${what}: the message was dropped`)
  console.error(`published to ${receivers} gateway${receivers === 1 ? '' : 's'}`)
}

async function sayLine(agent: Agent, session: string, line: string, flags: string): Promise<void> {
  assertJson(line)
  const offset = await agent.say(session, line, flags)
  console.error(offset === 0 ? 'published, and not kept' : `published as message ${offset} of session ${session}`)
}

async function publishRun([run = '', ...pairs]: readonly string[]): Promise<void> {
  if (!isRunId(run)) throw new Misused(`"${run}" is not a run id: 1 to 200 of [A-Za-z0-9_.~@=+;-]`)
  if (pairs.length === 0) throw new Misused('give at least one field of the run, as timestamps:build_channels=1')
  const fields = pairs.map((pair) => {
    const [, field, value] = /^([^=]+)=([\s\S]*)$/.exec(pair) ?? []
    if (field === undefined || value === undefined) throw new Misused(`"${pair}" is not field=value`)
    return [field, value] as const
  })
  await asAgent(loadConfig().config, (agent) => agent.setFields(runKey(run), Object.fromEntries(fields)))
  console.error(`set ${fields.length} field${fields.length === 1 ? '' : 's'} of run ${run}`)
}

function assertJson(text: string): void {
  try {
    JSON.parse(text)
  } catch (cause) {
    throw new Misused(`this is not JSON: ${text} (${reasonOf(cause)})`)
  }
}
