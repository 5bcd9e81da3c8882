import { createClient } from 'redis'
import { sessionDown, sessionUp } from '../contract/names.ts'

/** The session that the echo agent answers. */
export const ECHO_SESSION = 'demo'

/**
 * Starts an agent that answers each frame of the session `demo`, so that a first client gets a
 * reply. It is for the embedded Redis of development. Returns a function that stops it.
 */
export async function startEchoAgent(redisUrl: string): Promise<() => void> {
  const connect = () =>
    createClient({ url: redisUrl })
      .on('error', () => {})
      .connect()
  const [publisher, subscriber] = await Promise.all([connect(), connect()])
  await subscriber.subscribe(sessionUp(ECHO_SESSION), (frame) => {
    // Frames of clients are JSON: the session door checks them.
    publisher.publish(sessionDown(ECHO_SESSION), `{"type":"echo","frame":${frame}}`).catch(() => {})
  })
  return () => {
    subscriber.destroy()
    publisher.destroy()
  }
}
