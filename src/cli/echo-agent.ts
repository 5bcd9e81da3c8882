import { createClient } from 'redis'
import { sessionLog, sessionMeta, sessionUp } from '../contract/names.ts'
import { SAY_TEXT } from '../redis/session-say.ts'

/** The session that the echo agent answers. */
export const ECHO_SESSION = 'demo'

/**
 * Starts an agent that answers each frame of the session `demo`, so that a first client gets a
 * reply. It keeps a log, so a client of `wsproxy.v2` that comes back finds what it missed. It is
 * for the embedded Redis of development. Returns a function that stops it.
 */
export async function startEchoAgent(redisUrl: string): Promise<() => void> {
  const connect = () =>
    createClient({ url: redisUrl })
      .on('error', () => {})
      .connect()
  const [publisher, subscriber] = await Promise.all([connect(), connect()])
  const keys = [sessionLog(ECHO_SESSION), sessionMeta(ECHO_SESSION)]
  await subscriber.subscribe(sessionUp(ECHO_SESSION), (frame) => {
    // Frames of clients are JSON: the session door checks them.
    const answer = `{"type":"echo","frame":${frame}}`
    publisher.eval(SAY_TEXT, { keys, arguments: [answer] }).catch(() => {})
  })
  return () => {
    subscriber.destroy()
    publisher.destroy()
  }
}
