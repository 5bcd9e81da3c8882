/** Asks a probe over HTTP at a steady rate, as load balancers do, while something else goes on. */
import { Agent, get } from 'node:http'
import { nowUs, sleep } from './clock.ts'
import { Latencies, type Latency } from './latencies.ts'

export interface Probed {
  answers: number
  /** Answers that were not 200, and requests that had none. */
  failed: number
  latencyMs: Latency
  /** How late it asked itself. */
  lagP99Ms: number
}

const ANSWER_MS = 10_000

/** Asks `path` at the port `perSecond` times a second until `stop` settles, whether or not what it asked before was answered (open loop). */
export async function probe(port: number, path: string, perSecond: number, stop: Promise<unknown>): Promise<Probed> {
  const agent = new Agent({ keepAlive: true })
  const [latencies, lags] = [new Latencies(), new Latencies()]
  const asked: Promise<boolean>[] = []
  let over = false
  const end = () => {
    over = true
  }
  stop.then(end, end)
  const startUs = nowUs()
  while (!over) {
    const dueUs = startUs + (asked.length * 1e6) / perSecond
    while (dueUs > nowUs()) await sleep(Math.ceil((dueUs - nowUs()) / 1000)) // timers may be early as well
    const sentUs = nowUs()
    lags.record(sentUs - dueUs)
    // A timer is up to a millisecond late of its own accord: that is told beside it, and not counted as the subject's.
    const answer = ask({ port, path, agent }).then((status) => {
      latencies.record(nowUs() - sentUs)
      return status === 200
    })
    asked.push(answer.catch(() => false))
  }
  const answers = await Promise.all(asked)
  agent.destroy()
  const failed = answers.filter((good) => !good).length
  return { answers: answers.length, failed, latencyMs: latencies.inMs(), lagP99Ms: lags.inMs().p99 }
}

function ask(where: { port: number; path: string; agent: Agent }): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const request = get({ host: '127.0.0.1', timeout: ANSWER_MS, ...where }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode))
    })
    request.once('error', reject).once('timeout', () => request.destroy(new Error('no answer')))
  })
}
