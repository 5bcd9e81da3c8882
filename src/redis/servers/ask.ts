import { within } from '../../platform/deadline.ts'
import type { Target } from '../wire/connection.ts'

/** How long a server may take that is asked where others are. */
const ASK_TIMEOUT_MS = 1000

/** Host and port in `host:port`; an IPv6 address stands in brackets. */
export function hostAndPort(address: string, defaultPort: number): { host: string; port: number } {
  const { hostname, port } = new URL(`redis://${address}`)
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || defaultPort) }
}

/** One command over a connection of its own, in RESP2, which Sentinels of any age speak. @throws when there is no answer within a second. */
export async function askOnce(
  { host, port, tls, username, password }: Pick<Target, 'host' | 'port' | 'username' | 'password'> & { tls?: boolean },
  command: string[],
): Promise<unknown> {
  // Only who asks pays for it: node-redis takes 16 MB and 100 ms to load, and a gateway of one server never asks.
  const { createClient } = await import('redis')
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
