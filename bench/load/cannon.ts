/** autocannon: requests one path with a fixed number of requests under way (closed loop). */
import autocannon from 'autocannon'
import { upgradeRequest } from './client.ts'
import { Latencies, type Latency } from './latencies.ts'

export interface Shots {
  port: number
  path: string
  answers: number
  /** The status that every answer must have. */
  status: number
  /** The most answers a second, so that the subject is measured and not autocannon. */
  perSecond: number
}

export interface Answered {
  answers: number
  /** Answers with another status, and requests without an answer. */
  failed: number
  latencyMs: Latency
}

const CONNECTIONS = 10
/**
 * Refusals close their connection, so each request has a connection of its own; this many at once.
 */
const VOLLEY = 50
const SAMPLE_MS = 20

/**
 * Sends GET requests over a few persistent connections. autocannon sends the requests of one second
 * in a row and then waits for the next second.
 */
export async function answersOf({ perSecond, ...shots }: Shots): Promise<Answered> {
  const count = new Count(shots.status)
  const { port, path, answers } = shots
  const options = { connections: CONNECTIONS, overallRate: perSecond, amount: answers }
  await fire({ ...options, url: `http://127.0.0.1:${port}${path}` }, count)
  return count.answered(answers)
}

/** Sends upgrades with an invalid token, each on a new connection, in volleys. */
export async function refusalsOf({ port, path, answers, status, perSecond }: Shots): Promise<Answered> {
  const count = new Count(status)
  const request = Buffer.from(upgradeRequest({ port, path, token: 'not-the-token' }))
  // autocannon's own requests contain "Connection: keep-alive", which an upgrade must not contain.
  const setupClient = (client: object) => void Object.assign(client, { getRequestBuffer: () => request })
  const options = { url: `http://127.0.0.1:${port}${path}`, connections: VOLLEY, amount: VOLLEY, setupClient }
  const volleys = Math.ceil(answers / VOLLEY)
  const startedAt = performance.now()
  for (let fired = 0; fired < volleys; fired++) {
    const dueMs = ((fired * VOLLEY) / perSecond) * 1000 - (performance.now() - startedAt)
    if (dueMs > 0) await new Promise((resolve) => setTimeout(resolve, dueMs))
    await fire(options, count)
  }
  return count.answered(volleys * VOLLEY)
}

function fire(options: autocannon.Options, count: Count): Promise<void> {
  return new Promise((resolve, reject) => {
    const running = autocannon({ sampleInt: SAMPLE_MS, ...options }, (error) => (error ? reject(error) : resolve()))
    // autocannon's own latencies are whole milliseconds.
    running.on('response', (_, status, _bytes, ms) => count.one(status, ms))
  })
}

class Count {
  readonly #status: number
  readonly #latencies = new Latencies()
  #good = 0

  constructor(status: number) {
    this.#status = status
  }

  one(status: number, ms: number): void {
    this.#latencies.record(ms * 1000)
    if (status === this.#status) this.#good++
  }

  answered(asked: number): Answered {
    return { answers: asked, failed: asked - this.#good, latencyMs: this.#latencies.inMs() }
  }
}
