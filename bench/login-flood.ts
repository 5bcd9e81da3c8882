/**
 * What a flood of logins does to messages: `node dist/bench/login-flood.js [seconds]`, after
 * `npm run build`. It needs redis-server on the PATH. It sends 1,000 logins a second with wrong
 * passwords, each of another account, and compares the latency of messages with them, without
 * them, and with as many requests that cost nothing, in turn. Each login comes from another
 * address, and then from one of five. Requests that cost nothing show what the bench itself and the
 * machine add: it sends them from the process that measures.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createClient } from 'redis'
import { WebSocket } from 'ws'

const MAIN = fileURLToPath(new URL('../src/cli/main.js', import.meta.url))
const SECONDS = Number(process.argv[2] ?? 10)
const ROUNDS = 3
const SOCKETS = 50
const MESSAGES_PER_S = 200
const LOGINS_PER_S = 1000
const REDIS_PORT = 26_399

const started: ChildProcess[] = []
function start(file: string, args: readonly string[], env: Record<string, string> = {}): ChildProcess {
  const child = spawn(file, args, {
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  started.push(child)
  return child
}

/** Starts a gateway at which users log in. Returns its port. */
async function gateway(): Promise<number> {
  const child = start(process.execPath, ['--max-semi-space-size=4', MAIN, 'serve'], {
    REDIS_URL: `redis://127.0.0.1:${REDIS_PORT}`,
    LISTEN_ADDR: '127.0.0.1:0',
    AUTH_LOGIN: 'true',
    AUTH_JWT_SECRET: 'a-secret-of-a-bench-of-32-bytes-and-more',
    TRUST_PROXY: 'x-forwarded-for',
    CONNECT_RATE_PER_IP: '0',

    NODE_ENV: 'test',
  })
  for await (const line of createInterface({ input: child.stdout! })) {
    const port = /"event":"listening".*"port":(\d+)/.exec(line)?.[1]
    if (port === undefined) continue
    child.stdout!.resume()
    return Number(port)
  }
  throw new Error('the gateway did not listen')
}

/** Sends logins from so many addresses, at a steady rate until `stop`. Counts each status. */
function flood(port: number, path: string, addresses: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: 200 })
  const statuses = new Map<number, number>()
  let sent = 0
  const one = (): void => {
    const number = sent++
    const from = number % addresses
    const call = request({
      ...{ agent, port, host: '127.0.0.1', method: 'POST', path },
      headers: {
        'content-type': 'application/json',
        'x-forwarded-for': `198.${18 + ((from >> 16) & 1)}.${(from >> 8) & 255}.${from & 255}`,
      },
    })
    call.on('error', () => {})
    call.on('response', (response) => {
      statuses.set(response.statusCode!, (statuses.get(response.statusCode!) ?? 0) + 1)
      response.resume()
    })
    call.end(JSON.stringify({ email: `user-${number}@example.org`, password: 'wrong' }))
  }
  const timer = setInterval(() => {
    for (let i = 0; i < LOGINS_PER_S / 100; i++) one()
  }, 10)
  return {
    statuses,
    stop: () => {
      clearInterval(timer)
      agent.destroy()
    },
  }
}

const quantile = (sorted: readonly number[], q: number): number => sorted[Math.floor(sorted.length * q)] ?? 0

async function main(): Promise<void> {
  start('redis-server', ['--port', String(REDIS_PORT), '--save', '', '--appendonly', 'no']).stdout!.resume()
  await sleep(500)
  const redis = await createClient({ url: `redis://127.0.0.1:${REDIS_PORT}` }).connect()
  const port = await gateway()
  await sleep(1000)
  let latencies: number[] = []
  for (let i = 0; i < SOCKETS; i++) {
    await redis.set(`session:s${i}:auth`, 'token')
    const socket = new WebSocket(`ws://127.0.0.1:${port}/a/ws/s${i}`, { headers: { authorization: 'Bearer token' } })
    socket.on('message', (bytes) => latencies.push(performance.now() - Number(JSON.parse(String(bytes)).at)))
    await once(socket, 'open')
  }
  let next = 0
  setInterval(() => {
    for (let i = 0; i < MESSAGES_PER_S / 100; i++)
      void redis.publish(`session:s${next++ % SOCKETS}:down`, JSON.stringify({ at: performance.now() }))
  }, 10)
  for (let round = 0; round < ROUNDS; round++)
    for (const [name, path, addresses] of [
      ['calm     ', undefined, 0],
      ['requests ', '/api/auth/no-such-call', 1e5],
      ['logins   ', '/api/auth/login', 1e5],
      ['addresses', '/api/auth/login', 5],
    ] as const) {
      const attack = path === undefined ? undefined : flood(port, path, addresses)
      await sleep(1000)
      latencies = []
      await sleep(SECONDS * 1000)
      attack?.stop()
      const sorted = latencies.toSorted((a, b) => a - b)
      const [p50, p99] = [quantile(sorted, 0.5), quantile(sorted, 0.99)].map((each) => each.toFixed(2))
      const answers = attack ? [...attack.statuses].map(([status, count]) => `${count} x ${status}`).join(', ') : ''
      console.log(`${name} p50 ${p50} ms, p99 ${p99} ms, ${sorted.length} messages ${answers}`)
    }
}

await main().finally(() => {
  for (const child of started) child.kill('SIGKILL')
})
process.exit()
