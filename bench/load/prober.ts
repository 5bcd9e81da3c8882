/** Requests a probe over HTTP at a steady rate, as load balancers do, while other load runs. */
import { Agent, get } from 'node:http'
import { nowUs, sleep } from './clock.ts'
import { Latencies, type Latency } from './latencies.ts'

export interface Probed {
  answers: number
  /** Answers other than 200, and requests without an answer. */
  failed: number
  latencyMs: Latency
  /** How late the prober itself was. */
  lagP99Ms: number
}

const ANSWER_MS = 10_000

/**
 * Requests `path` on the port `perSecond` times a second until `stop` settles, whether or not
 * earlier requests were answered (open loop).
 */
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
    while (dueUs > nowUs()) await sleep(Math.ceil((dueUs - nowUs()) / 1000)) // timers may also fire early
    const sentUs = nowUs()
    lags.record(sentUs - dueUs)
    // A timer fires up to a millisecond late. That delay is reported separately and not counted as
    // the subject's.
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
