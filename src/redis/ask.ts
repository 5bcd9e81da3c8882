import { createClient } from 'redis'
import { within } from '../deadline.ts'
import type { Target } from './link.ts'

/** How long a server may take that is asked where others are. */
const ASK_TIMEOUT_MS = 1000

/** Host and port in `host:port`; an IPv6 address stands in brackets. */
export function hostAndPort(address: string, defaultPort: number): { host: string; port: number } {
  const { hostname, port } = new URL(`redis://${address}`)
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || defaultPort) }
}

/** One command over a connection of its own. @throws when there is no answer within a second. */
export async function askOnce(
  { host, port, tls, username, password }: Pick<Target, 'host' | 'port' | 'username' | 'password'> & { tls?: boolean },
  command: string[],
): Promise<unknown> {
  const client = createClient({
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    socket: { host, port, ...(tls && { tls }), reconnectStrategy: false, connectTimeout: ASK_TIMEOUT_MS },
  })
  client.on('error', () => {})
  try {
    return await within(
      client.connect().then(() => client.sendCommand<unknown>(command)),
      ASK_TIMEOUT_MS,
    )
  } finally {
    if (client.isOpen) client.destroy()
  }
}
