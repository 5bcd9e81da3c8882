import { loadConfig } from '../config/load.ts'
import { bracketed, reachable } from '../platform/address.ts'
import { CommandFailed } from './failure.ts'

const PATIENCE_MS = 3000

/**
 * Prints the `/health` response of the gateway at LISTEN_ADDR. With `alive`, any response will do.
 * @throws CommandFailed when the gateway is unhealthy or does not answer within 3 s.
 */
export async function health({ alive }: { alive: boolean }): Promise<void> {
  const { host, port } = loadConfig().config.listenAddr
  const at = `http://${bracketed(reachable(host))}:${port}/health`
  const response = await fetch(at, { signal: AbortSignal.timeout(PATIENCE_MS) }).catch((error: Error) => {
    throw new CommandFailed(`no answer from ${at}: ${(error.cause as Error | undefined)?.message ?? error.message}`)
  })
  const body = await response.text()
  if (!response.ok && !alive) throw new CommandFailed(`${response.status} ${body}`)
  console.log(body)
}
