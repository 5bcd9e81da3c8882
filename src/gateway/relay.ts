import type { Address } from '../config/kinds.ts'
import type { Config } from '../config/table.ts'
import { ProxyRelay } from '../platform/proxy-relay.ts'
import type { Listeners, TemplatedApp } from '../platform/uws.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'

/**
 * Listening sockets on the port. Each holds 512 connections that wait to be accepted, so all of
 * them hold the 14,000 clients that come back at the same moment when a gateway restarts, although
 * the kernel does not spread them evenly.
 */
export const LISTENERS = 32

/** How often a header that cannot be read is logged, in ms. */
const MALFORMED_EVERY_MS = 60_000

/** Makes the relay of `TRUST_PROXY=proxy-protocol`; undefined with any other value. */
export function proxyRelay(config: Config, { proxyHeaders }: Metrics, log: Logger): ProxyRelay | undefined {
  if (config.trustProxy !== 'proxy-protocol') return undefined
  let loggedAt = Number.NEGATIVE_INFINITY
  return new ProxyRelay({
    trusted: config.trustProxyCidr,
    decided: (result, peer) => {
      proxyHeaders.inc({ result })
      if (result !== 'malformed' || performance.now() - loggedAt < MALFORMED_EVERY_MS) return
      loggedAt = performance.now()
      log.warn(
        { event: 'proxy-header', peer },
        'a PROXY header could not be read, and its connection was cut; only version 2 is understood (TRUST_PROXY)',
      )
    },
  })
}

const LOOPBACK = '127.0.0.1'

/**
 * Listens for clients: the app itself, or the relay in front of the app on loopback. Returns the
 * port of the clients and where the app listens. @throws Error when the port is taken.
 */
export function listenOn(
  listeners: Listeners,
  relay: ProxyRelay | undefined,
  app: TemplatedApp,
  { host, port }: Address,
  count: number,
): { port: number; inner: Address } {
  if (!relay) {
    const listening = listeners.listen(app, host, port, count)
    return { port: listening, inner: { host, port: listening } }
  }
  const free = listeners.freePort(app, host, port)
  const inner = { host: LOOPBACK, port: listeners.listen(app, LOOPBACK, 0, count) }
  relay.listen(host, free, inner.port)
  return { port: free, inner }
}
