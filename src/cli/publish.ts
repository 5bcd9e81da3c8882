import { createInterface } from 'node:readline'
import { loadConfig } from '../config/load.ts'
import { isId, sessionDown } from '../contract/names.ts'
import { reasonOf } from '../platform/reason.ts'
import { CommandFailed, Misused } from './failure.ts'
import { asAgent } from './redis.ts'

/**
 * Publishes a message to a session, as its agent would.
 * @throws Misused for an invalid id or JSON text. @throws CommandFailed when no gateway has
 * subscribed to the session, so that the message is lost.
 */
export async function publish(session: string, json: string): Promise<void> {
  if (!isId(session)) throw new Misused(`"${session}" is not a session id: 1 to 200 of [A-Za-z0-9_.~@=+:-]`)
  if (json !== '-') assertJson(json)
  const { config } = loadConfig()
  await asAgent(config, async (agent) => {
    // Opened late: readline drops lines that arrive before a listener exists.
    const lines = json === '-' ? createInterface({ input: process.stdin }) : [json]
    for await (const line of lines) {
      assertJson(line)
      const receivers = await agent.publish(sessionDown(session), line)
      if (receivers === 0)
        throw new CommandFailed(`no gateway has a client of session ${session}: the message was dropped`)
      console.error(`published to ${receivers} gateway${receivers === 1 ? '' : 's'}`)
    }
  })
}

function assertJson(text: string): void {
  try {
    JSON.parse(text)
  } catch (cause) {
    throw new Misused(`this is not JSON: ${text} (${reasonOf(cause)})`)
  }
}
