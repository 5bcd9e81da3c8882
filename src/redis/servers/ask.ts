import { within } from '../../platform/deadline.ts'
import { RedisConnection, type Target } from '../wire/connection.ts'

/** Time for one command, including the connection. */
const ASK_TIMEOUT_MS = 1000

/**
 * Sends one command over a connection of its own.
 * @throws when no answer arrives within a second.
 */
export async function askOnce(target: Target, command: string[]): Promise<unknown> {
  const connection = new RedisConnection({ ...target, database: 0 }, 'wsproxy-ask')
  const ended = new Promise<never>((_, reject) => connection.on('error', reject))
  // The race below has the reason.
  ended.catch(() => {})
  try {
    const answer = connection.connect().then(() => connection.sendCommand(command))
    return await within(Promise.race([answer, ended]), ASK_TIMEOUT_MS)
  } finally {
    connection.destroy()
  }
}
