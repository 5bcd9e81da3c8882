import { createServer } from 'node:net'
import { startCommand } from '../config/env.ts'
import type { Config } from '../config/table.ts'
import { bracketed } from '../platform/address.ts'
import { portOwner } from '../platform/port-owner.ts'
import { reasonOf } from '../platform/reason.ts'

const LAST_PORT = 65_535
/** Proposed in place of a port that needs a privilege. */
const FREE_FOR_ALL = 8080

/**
 * Returns why a gateway with these settings did not start, and what mends it where one of its ports
 * is taken or needs a privilege. Call it when the gateway has closed its own listeners.
 */
export async function startFailure(error: unknown, { listenAddr, adminPort }: Config): Promise<string> {
  const { host, port } = listenAddr
  const at = (other: number) => `LISTEN_ADDR=${bracketed(host)}:${other}`
  const advice = portAdvice(port, await bindCode(host, port), at)
  if (adminPort !== undefined && adminPort !== port)
    advice.push(...portAdvice(adminPort, await bindCode(host, adminPort), (other) => `ADMIN_PORT=${other}`))
  return [reasonOf(error).replace(/\.$/, ''), ...advice].join('. ')
}

/** What to do about a port that cannot be bound for the reason `code`; `set` writes the setting. */
export function portAdvice(port: number, code: string | undefined, set: (other: number) => string): string[] {
  if (code === 'EACCES')
    return [`Port ${port} needs a privilege (CAP_NET_BIND_SERVICE). Take another port: ${command(set(FREE_FOR_ALL))}`]
  if (code !== 'EADDRINUSE') return []
  const owner = portOwner(port)
  const another = command(set(port < LAST_PORT ? port + 1 : port - 1))
  if (owner === undefined) return [`Stop the program that has port ${port}, or take another port: ${another}`]
  return [`Port ${port} belongs to ${owner}`, `Stop it, or take another port: ${another}`]
}

const command = (assignment: string): string => `${assignment} ${startCommand()}`

/** Binds a port and lets it go, since uWebSockets.js gives no reason. Undefined: it is free. */
function bindCode(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code))
    server.listen({ host, port }, () => server.close(() => resolve(undefined)))
  })
}
