import { sessionLog, sessionMeta } from '../../src/contract/names.ts'
import { SAY_TEXT } from '../../src/redis/session-say.ts'
import { type ConnectClientOptions, connect, type TestClient } from './client.ts'
import type { TestGateway } from './gateway.ts'
import type { Client } from './redis.ts'
import { eventually } from './wait.ts'

/** Limits of the log that an agent passes to the script. */
export interface LogLimits {
  readonly ttlSeconds?: number
  readonly entries?: number
  readonly bytes?: number
}

/** Writes a message to the log of a session and publishes it. Returns its offset. */
export async function say(
  agent: Client,
  session: string,
  payload: string | Buffer,
  flags = '',
  { ttlSeconds = 3600, entries = 10_000, bytes = 16 * 1024 * 1024 }: LogLimits = {},
): Promise<number> {
  const limits = [String(ttlSeconds), String(entries), String(bytes), flags]
  const command = ['EVAL', SAY_TEXT, '2', sessionLog(session), sessionMeta(session), payload, ...limits]
  return Number(await agent.sendCommand(command))
}

export const epochOf = async (agent: Client, session: string): Promise<string> =>
  (await agent.hGet(sessionMeta(session), 'e')) ?? ''

/** Connects a client of `wsproxy.v2`. */
export async function joinNumbered(
  gateway: TestGateway,
  session: string,
  query = '',
  options: ConnectClientOptions = {},
): Promise<TestClient> {
  const token = await gateway.token(session)
  const url = `${gateway.sessionUrl(session)}${query === '' ? '' : `?${query}`}`
  return connect(url, { token, protocols: ['wsproxy.v2'], ...options })
}

const allControls = (client: TestClient): Record<string, unknown>[] =>
  client.frames.filter((frame) => String(frame).startsWith('{')).map((frame) => JSON.parse(String(frame)))

/** The control frames that a client has, parsed, without those of its resume tickets. */
export const controls = (client: TestClient): Record<string, unknown>[] =>
  allControls(client).filter(({ command }) => command !== 'ticket')

/** The `ticket` frames that a client has, parsed. */
export const ticketFrames = (client: TestClient): { ticket: string; expires_in_ms: number }[] =>
  allControls(client).filter(({ command }) => command === 'ticket') as never

/** The first `position` frame, which has to be the first frame. */
export async function positionOf(client: TestClient): Promise<Record<string, unknown>> {
  const [first] = await client.take(1)
  return JSON.parse(String(first))
}

/** Frames that are messages, as text. */
export const messages = (client: TestClient): string[] =>
  client.frames.map(String).filter((frame) => !frame.startsWith('{'))

/** Waits for so many messages and returns all. */
export async function takeMessages(client: TestClient, count: number): Promise<string[]> {
  await eventually(() => messages(client).length >= count || client.code !== undefined, `${count} messages`)
  return messages(client)
}
