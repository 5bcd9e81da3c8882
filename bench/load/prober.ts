/** Asks a probe over HTTP at a steady rate, as load balancers do, while something else goes on. */
import { createHistogram } from 'node:perf_hooks'
import autocannon from 'autocannon'

export interface Probed {
  answers: number
  /** Answers that were not 200, and requests that had none. */
  failed: number
  p50Ms: number
  p99Ms: number
  maxMs: number
}

const CONNECTIONS = 4
const LONGEST_US = 60_000_000

/** Asks `path` at the port `perSecond` times a second until `stop` resolves. */
export async function probe(port: number, path: string, perSecond: number, stop: Promise<unknown>): Promise<Probed> {
  // Its own figures are whole milliseconds.
  const latencyUs = createHistogram({ lowest: 1, highest: LONGEST_US, figures: 3 })
  let failed = 0
  const options = {
    url: `http://127.0.0.1:${port}${path}`,
    connections: CONNECTIONS,
    overallRate: perSecond,
    duration: 600,
  }
  const result = await new Promise<autocannon.Result>((resolve, reject) => {
    const running = autocannon(options, (error, done) => (error ? reject(error) : resolve(done)))
    running.on('response', (_, status, _bytes, ms) => {
      latencyUs.record(Math.max(1, Math.round(ms * 1000)))
      if (status !== 200) failed++
    })
    const end = () => (running as unknown as { stop(): void }).stop()
    stop.then(end, end)
  })
  failed += result.errors
  const ms = (us: number) => us / 1000
  const [p50Ms, p99Ms] = [ms(latencyUs.percentile(50)), ms(latencyUs.percentile(99))]
  return { answers: latencyUs.count, failed, p50Ms, p99Ms, maxMs: ms(latencyUs.max) }
}
