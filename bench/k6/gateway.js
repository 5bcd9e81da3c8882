/**
 * What the k6 scripts share: a backend's part (tokens and messages in Redis) and a client's (a WebSocket). Run with k6 1.x (k6 2 has no `k6/experimental/redis`):
 *
 *   k6 run -e URL=ws://127.0.0.1:8080 -e METRICS=http://127.0.0.1:8080/metrics -e REDIS="$(npm run -s wsproxy -- redis-url)" bench/k6/smoke.js
 */
import redis from 'k6/experimental/redis'
import http from 'k6/http'
import { Counter, Trend } from 'k6/metrics'
import ws from 'k6/ws'

export const URL = __ENV.URL || 'ws://127.0.0.1:8080'
const METRICS = __ENV.METRICS || 'http://127.0.0.1:8080/metrics'
const client = new redis.Client(__ENV.REDIS)

export const delivered = new Counter('delivered')
export const delivery = new Trend('delivery', true)

/** A token for a session, as a backend makes one. */
export async function invite(session) {
  const token = `k6-${Math.random().toString(36).slice(2)}${Math.random().toString(36).slice(2)}`
  await client.set(`session:${session}:auth`, token, 60)
  return token
}

/** A message of the agent, with the moment at which it left. */
export const publish = (session) =>
  client.sendCommand('PUBLISH', `session:${session}:down`, JSON.stringify({ type: 'k6', at: Date.now() }))

/** Enters a session and stays for `seconds`; `whileOpen` is called every `everyMs`. Resolves to the status of the upgrade. */
export function stay(session, token, seconds, everyMs, whileOpen) {
  const response = ws.connect(
    `${URL}/k6/ws/${session}`,
    { headers: { Authorization: `Bearer ${token}` } },
    (socket) => {
      socket.on('message', (text) => {
        const { type, at } = JSON.parse(text)
        if (type !== 'k6') return
        delivered.add(1)
        delivery.add(Date.now() - at)
      })
      socket.on('open', () => {
        socket.setInterval(whileOpen, everyMs)
        socket.setTimeout(() => socket.close(), seconds * 1000)
      })
    },
  )
  return response.status
}

/** The sum of a counter of the gateway over all its labels. */
export function counted(name) {
  const page = http.get(METRICS).body
  return page
    .split('\n')
    .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}

/** Fails the run when the gateway has lost something while it lasted. */
export const losses = () => counted('wsproxy_lost_messages_total') + counted('wsproxy_gaps_total')
