import { setTimeout as sleep } from 'node:timers/promises'
import { RefusedError, type TestClient } from '../support/client.ts'
import { FaultProxy } from '../support/fault-proxy.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { startRealRedis } from '../support/redis.ts'
import { eventually } from '../support/wait.ts'
import type { Interval } from './account.ts'
import { inflict, type Plan, planOf, type Step } from './plan.ts'
import { Traffic } from './traffic.ts'

/** Small bounds and short timeouts, so that a run of seconds reaches all of them. */
const ENV = {
  LOG_LEVEL: 'warn',
  SESSION_RATE: '0',
  UPSTREAM_BUFFER_MESSAGES: '150',
  HANDSHAKE_TIMEOUT: '1s',
  REDIS_CANARY_INTERVAL: '300ms',
  REDIS_CANARY_TIMEOUT: '1200ms',
}
/** A run has more messages than this in each direction. */
export const MIN_MESSAGES = 500
/** The refusals that an upgrade may get during a fault. */
const EXCUSES = ['redis-unavailable', 'redis-timeout']

export interface Outcome {
  readonly plan: Plan
  /** What cannot be accounted for; empty when the run went well. */
  readonly complaints: readonly string[]
  readonly sockets: number
  /** The numbers of messages published and of frames sent. */
  readonly down: number
  readonly up: number
}

/** One run by its seed: the same plan each time, on a Redis and a gateway of its own. */
export async function runChaos(seed: number): Promise<Outcome> {
  const plan = planOf(seed)
  const redis = await startRealRedis()
  const proxy = await FaultProxy.to(redis.port)
  const through = { ...redis, url: `redis://127.0.0.1:${proxy.port}`, client: () => redis.client() }
  const sessions = Array.from({ length: plan.sessions }, (_, i) => `chaos-${i}`)
  const gateway = await startGateway({ redis: through, env: ENV })
  const traffic = await Traffic.open(redis.url, sessions)
  const complaints: string[] = []
  try {
    for (const session of sessions)
      for (let i = 0; i < plan.socketsPerSession; i++)
        traffic.add(session, await eventually(() => enter(gateway, session), `a socket on ${session}`))
    traffic.start()
    const faults: Interval[] = []
    for (const [i, step] of plan.steps.entries()) {
      faults.push(await suffer(proxy, gateway, step))
      // A new client connects, whether Redis is reachable or not. If it is admitted, it is owed all
      // that the others are.
      const session = sessions[i % sessions.length]!
      const client = await enter(gateway, session)
      if (client) traffic.add(session, client)
    }
    await eventually(() => gateway.gateway.redisReady, 'the gateway to have Redis after the last fault')
    const isBusy = () => Object.values(traffic.counts).every((count) => count > MIN_MESSAGES)
    await eventually(isBusy, 'enough traffic on a slow machine')
    await traffic.finish()
    complaints.push(...traffic.account(faults))
  } catch (error) {
    complaints.push(`${error}; ${await traffic.diagnosis()}; ${JSON.stringify(gateway.log.slice(-20))}`)
  } finally {
    const { counts, size } = traffic
    traffic.close()
    await gateway.stop()
    await proxy.stop()
    await redis.stop()
    // biome-ignore lint/correctness/noUnsafeFinally: all errors are complaints
    return { plan, complaints, sockets: size, ...counts }
  }
}

/** Runs one step and returns the interval of its fault. */
async function suffer(proxy: FaultProxy, gateway: TestGateway, step: Step): Promise<Interval> {
  await sleep(step.calmMs)
  const from = Date.now()
  await inflict(proxy, step)
  await sleep(step.lengthMs)
  proxy.heal()
  const to = Date.now()
  if (step.wait) await eventually(() => gateway.gateway.redisReady, `the gateway to have Redis after ${step.kind}`)
  return { from, to }
}

/** A socket on the session; undefined when Redis was away or did not answer in time. */
async function enter(gateway: TestGateway, session: string): Promise<TestClient | undefined> {
  try {
    return await gateway.join(session)
  } catch (error) {
    if (error instanceof RefusedError && EXCUSES.includes(error.refused.code)) return undefined
    throw error
  }
}
