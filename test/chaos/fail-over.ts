import { setTimeout as sleep } from 'node:timers/promises'
import { sessionAuth } from '../../src/contract/names.ts'
import { bareGatewayFor } from '../support/bare.ts'
import { connect } from '../support/client.ts'
import { type Client, type RealRedis, realRedisFor } from '../support/redis.ts'
import { redisBalancerFor } from '../support/redis-balancer.ts'
import type { Scope } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'
import { gapsOf, type Interval } from './account.ts'
import { Random } from './random.ts'
import { Traffic } from './traffic.ts'

/** A planned fail-over, after a calm. The replica is stopped for `stallMs` meanwhile. */
interface Step {
  readonly calmMs: number
  readonly stallMs: number
}

interface FailOverPlan {
  readonly seed: number
  readonly sessions: number
  readonly socketsPerSession: number
  readonly steps: readonly Step[]
}

interface FailOverOutcome {
  readonly plan: FailOverPlan
  /** What cannot be accounted for; empty when the run went well. */
  readonly complaints: readonly string[]
  readonly sockets: number
  readonly down: number
  readonly up: number
  /** The longest time from the end of a fail-over to the gap of the last socket. */
  readonly slowestMs: number
}

/** How long the gateway may take to follow, on a busy machine: it asks for the role each second. */
const FOLLOWED_MS = 10_000

function failOverPlanOf(seed: number): FailOverPlan {
  const random = new Random(seed)
  return {
    seed,
    sessions: random.int(2, 4),
    socketsPerSession: random.int(2, 3),
    steps: Array.from({ length: random.int(2, 4) }, () => ({
      calmMs: random.int(300, 2500),
      stallMs: random.chance(0.5) ? random.int(50, 900) : 0,
    })),
  }
}

/** The plan in words, for the log of a failed run. */
export function failOverText({ seed, sessions, socketsPerSession, steps }: FailOverPlan): string {
  const lines = steps.map(({ calmMs, stallMs }) => {
    const stalled = stallMs > 0 ? `, with a replica that is stopped for ${stallMs} ms` : ''
    return `  after ${calmMs} ms: FAILOVER behind one address${stalled}`
  })
  return [`seed ${seed}: ${sessions} sessions of ${socketsPerSession} sockets`, ...lines].join('\n')
}

/**
 * One run by its seed: a gateway that reaches a master and its replica by one address, behind
 * HAProxy. Each fail-over is planned, and the old master lives on as a replica with all its
 * connections open.
 */
export async function runFailOver(scope: Scope, seed: number): Promise<FailOverOutcome> {
  const plan = failOverPlanOf(seed)
  const servers = await startPair(scope)
  const port = await redisBalancerFor(
    scope,
    servers.map((server) => server.redis.port),
  )
  const gateway = bareGatewayFor(scope, `redis://127.0.0.1:${port}`, { SESSION_RATE: '0', CONNECT_RATE_PER_IP: '0' })
  await eventually(() => gateway.gateway.redisReady, 'the gateway to reach the master')
  const sessions = Array.from({ length: plan.sessions }, (_, i) => `chaos-${i}`)
  const traffic = await Traffic.open(
    servers.map(({ redis }) => redis.url),
    sessions,
  )
  const complaints: string[] = []
  const faults: Interval[] = []
  let [master, slowestMs] = [0, 0]
  const enter = async (session: string) => {
    const { agent } = servers[master]!
    await agent.set(sessionAuth(session), 't')
    traffic.add(session, await connect(`${gateway.ws}/a/ws/${session}`, { token: 't' }))
  }
  try {
    for (const session of sessions) for (let i = 0; i < plan.socketsPerSession; i++) await enter(session)
    traffic.start()
    for (const [i, step] of plan.steps.entries()) {
      await sleep(step.calmMs)
      const from = Date.now()
      await traffic.failOver(1 - master, () => failOver(servers[master]!, servers[1 - master]!, step))
      const to = Date.now()
      faults.push({ from, to })
      master = 1 - master
      const isFollowed = () => traffic.witnesses().every((witness) => gapsOf(witness).some((gap) => gap.to >= from))
      await eventually(isFollowed, `the gap of fail-over ${i}`, FOLLOWED_MS)
      slowestMs = Math.max(slowestMs, Date.now() - to)
      await enter(sessions[i % sessions.length]!)
    }
    await traffic.finish()
    complaints.push(...traffic.account(faults))
  } catch (error) {
    complaints.push(`${error}; ${await traffic.diagnosis()}; ${JSON.stringify(gateway.log.slice(-20))}`)
  }
  const { counts, size } = traffic
  traffic.close()
  return { plan, complaints, sockets: size, ...counts, slowestMs }
}

interface Server {
  readonly redis: RealRedis
  readonly agent: Client
}

const NO_DELAY = ['--repl-diskless-sync-delay', '0']

async function startPair(scope: Scope): Promise<readonly Server[]> {
  const first = await realRedisFor(scope, NO_DELAY)
  const second = await realRedisFor(scope, [...NO_DELAY, '--replicaof', '127.0.0.1', String(first.port)])
  const servers = [first, second].map(async (redis) => ({ redis, agent: await redis.client() }))
  const [master, replica] = await Promise.all(servers)
  await eventually(() => follows(replica!), 'the replica to follow')
  return [master!, replica!]
}

const follows = async ({ agent }: Server): Promise<boolean> =>
  (await agent.info('replication')).includes('master_link_status:up')

async function failOver(master: Server, replica: Server, { stallMs }: Step): Promise<void> {
  if (stallMs > 0) replica.redis.process.kill('SIGSTOP')
  await master.agent.sendCommand(['FAILOVER', 'TO', '127.0.0.1', String(replica.redis.port)])
  await sleep(stallMs)
  if (stallMs > 0) replica.redis.process.kill('SIGCONT')
  await eventually(() => follows(master), 'the old master to follow')
}
