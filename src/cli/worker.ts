import { setTimeout } from 'node:timers/promises'
import { loadConfig } from '../config/load.ts'
import type { Ports } from '../contract/workers.ts'
import type { Gateway } from '../gateway/gateway.ts'
import { reasonOf } from '../platform/reason.ts'
import { flushTelemetry } from '../telemetry/lifecycle.ts'
import type { Begin } from '../workers/messages.ts'
import { Parent } from '../workers/parent.ts'
import { dividedFor } from './divided.ts'
import { Misused } from './failure.ts'
import { startFailure } from './listen-failure.ts'
import { closeInspector, prepare } from './serving.ts'
import { followSignals } from './signals.ts'

/** How long a worker that is started again waits for Redis before it listens, in ms. */
const SOON_MS = 5000
const LOOK_MS = 10

/** Runs one of the processes of `wsproxy serve` with WORKERS, until the supervisor stops it. */
export async function worker(number: number): Promise<void> {
  if (process.send === undefined) throw new Misused('"wsproxy serve" starts workers: set WORKERS')
  const parent = new Parent()
  try {
    await work(number, parent)
  } catch (error) {
    parent.leave()
    throw error
  }
}

async function work(number: number, parent: Parent): Promise<void> {
  const begin = await parent.begin
  const loaded = dividedFor(begin.workers, loadConfig())
  const { config } = loaded
  closeInspector(config)
  const { log, tracing, open } = await prepare(loaded, number, begin.workers)
  const { redisUrl, secret, workers } = begin
  const gateway = open({ redisUrl, sharing: { workers, secret, peers: parent } })
  const finish = async (status: number) => {
    await flushTelemetry(tracing, log)
    process.exit(status)
  }
  let isLeaving = false
  const leave = (how: 'stop' | 'retire') => {
    isLeaving = true
    void gateway[how]().then(() => finish(0))
  }
  // A service manager may send SIGTERM to every process of the service. With the order of the
  // supervisor, before or behind it, it must not count twice: the second one cuts all sockets.
  let isSignalled = false
  const stop = () => {
    if (!isSignalled) leave('stop')
    isSignalled = false
  }
  parent.follow({ stop, retire: () => leave('retire') })
  void followSignals(() => {
    if (isLeaving) return
    isSignalled = true
    leave('stop')
  })
  try {
    const ports = await due(begin, parent, gateway, () => isLeaving)
    if (isLeaving) return
    const listening: Ports = gateway.listen(ports)
    log.info({ event: 'worker-listening', pid: process.pid, ...listening }, 'a worker listens')
    parent.listening(listening)
  } catch (error) {
    log.level = 'silent'
    await gateway.stop()
    console.error(begin.ports === undefined ? await startFailure(error, config) : reasonOf(error))
    await finish(1)
  }
}

/**
 * Resolves when this worker may listen, with the ports of the others. One that takes clients over
 * has all channels by then.
 */
async function due({ listen, ports }: Begin, parent: Parent, gateway: Gateway, isLeaving: () => boolean) {
  if (listen === 'together') {
    parent.prepared()
    return parent.due
  }
  const deadline = performance.now() + (listen === 'soon' ? SOON_MS : Number.POSITIVE_INFINITY)
  while (!gateway.redisReady && !isLeaving() && performance.now() < deadline) await setTimeout(LOOK_MS)
  return ports
}
