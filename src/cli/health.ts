import { loadConfig } from '../config/load.ts'
import { localUrl } from '../platform/address.ts'
import { askOwn } from '../platform/own.ts'
import { reasonOf } from '../platform/reason.ts'
import { CommandFailed } from './failure.ts'

const PATIENCE_MS = 3000

/**
 * Prints the `/health` response of the gateway at LISTEN_ADDR. With `alive`, any response will do.
 * @throws CommandFailed when the gateway is unhealthy or does not answer within 3 s.
 */
export async function health({ alive }: { alive: boolean }): Promise<void> {
  const { listenAddr, tlsCert } = loadConfig().config
  const { host, port } = listenAddr
  const at = `${localUrl(host, port, tlsCert !== undefined)}/health`
  const { status, body } = await askOwn(at, AbortSignal.timeout(PATIENCE_MS)).catch((error: Error) => {
    throw new CommandFailed(`no answer from ${at}: ${reasonOf(error)}`)
  })
  if (status !== 200 && !alive) throw new CommandFailed(`${status} ${body}`)
  console.log(body)
}
