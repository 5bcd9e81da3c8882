import { within } from '../../platform/deadline.ts'
import type { Target } from '../wire/connection.ts'

/** Time for one command, including the connection. */
const ASK_TIMEOUT_MS = 1000

/** Splits `host:port`. An IPv6 address stands in brackets. */
export function hostAndPort(address: string, defaultPort: number): { host: string; port: number } {
  const { hostname, port } = new URL(`redis://${address}`)
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || defaultPort) }
}

/**
 * Sends one command over a connection of its own, in RESP2, which Sentinels of every version speak.
 * @throws when no answer arrives within a second.
 */
export async function askOnce(
  { host, port, path, tls, username, password }: Omit<Target, 'database' | 'tls'> & { tls?: boolean },
  command: string[],
): Promise<unknown> {
  // Loaded lazily: node-redis takes 16 MB and 100 ms to load, and a gateway with one server never
  // needs it.
  const { createClient } = await import('redis')
  const client = createClient({
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    socket: {
      ...(path === undefined ? { host, port } : { path }),
      ...(tls && { tls }),
      reconnectStrategy: false,
      connectTimeout: ASK_TIMEOUT_MS,
    },
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
