import { connect } from 'node:net'
import { sessionAuth, sessionDown } from '../../src/contract/names.ts'
import { Command } from '../support/cli.ts'
import { connect as connectClient } from '../support/client.ts'
import { sample } from '../support/gateway.ts'
import { freePort } from '../support/ports.ts'
import { PATIENT, startRealRedis } from '../support/redis.ts'
import { createClient } from '../support/redis-client.ts'
import { eventually, within } from '../support/wait.ts'
import { numbered } from './account.ts'
import { type Garbage, garbage } from './garbage.ts'
import { Random } from './random.ts'

/** The number of connections under way at a time. */
const AT_ONCE = 40
/** One message to the standing socket is due after this many inputs. */
const EACH = 5
/** Memory is compared after this many inputs, when the process has warmed up. */
const WARM_SHARE = 0.4
const ENV = { LOG_LEVEL: 'fatal', CONNECT_RATE: '0', CONNECT_RATE_PER_IP: '0', REFUSED_RATE_PER_IP: '0' }

export interface Survival {
  readonly inputs: number
  /** Messages of the standing socket: published, and arrived in order. */
  readonly published: number
  readonly arrived: number
  readonly standing: boolean
  /** Sockets that are open at the end, except for the standing one. */
  readonly open: number
  readonly internalErrors: number
  /** Resident bytes after the warm-up and at the end. */
  readonly warmBytes: number
  readonly endBytes: number
}

/**
 * Sends garbage to a gateway in a process of its own, while one well-behaved client keeps
 * listening.
 */
export async function attack(seed: number, inputs: number): Promise<Survival> {
  const random = new Random(seed)
  const redis = await startRealRedis()
  const port = await freePort()
  const http = `http://127.0.0.1:${port}`
  // The log level is silent, because logging would be most of the work; so the test polls the port.
  const command = new Command(['serve'], {
    env: { ...ENV, REDIS_URL: redis.url, LISTEN_ADDR: `127.0.0.1:${port}` },
  })
  const agent = await createClient({ url: redis.url, commandOptions: PATIENT }).connect()
  try {
    const ready = () => fetch(`${http}/ready`).then(({ ok }) => ok)
    await eventually(() => ready().catch(() => false), 'the gateway')
    await agent.set(sessionAuth('standing'), 't')
    const client = await connectClient(`ws://127.0.0.1:${port}/a/ws/standing`, { token: 't' })
    const page = async () => (await fetch(`${http}/metrics`)).text()
    const residentBytes = async () => sample(await page(), 'process_resident_memory_bytes')
    let published = 0
    let warmBytes = 0
    for (let sent = 0; sent < inputs; sent += AT_ONCE) {
      if (warmBytes === 0 && sent >= inputs * WARM_SHARE) warmBytes = await residentBytes()
      const batch = Array.from({ length: Math.min(AT_ONCE, inputs - sent) }, () =>
        garbage(random, `/run-${random.int(0, 99)}`),
      )
      const messages = batch.filter((_, i) => i % EACH === 0)
      for (const _ of messages) void agent.publish(sessionDown('standing'), numbered(published++, ''))
      await Promise.all(batch.map((each) => inflict(port, each)))
    }
    await eventually(() => client.frames.length >= published, 'the messages of the standing socket').catch(() => {})
    const open = () => page().then((text) => sample(text, 'wsproxy_active_connections', { door: 'run' }))
    await eventually(async () => (await open()) === 0, 'the sockets of the garbage to be gone').catch(() => {})
    return {
      inputs,
      published,
      arrived: client.frames.filter((frame, i) => frame === numbered(i, '')).length,
      standing: client.code === undefined && command.child.exitCode === null,
      open: await open(),
      internalErrors: sample(await page(), 'wsproxy_errors_total', { type: 'internal' }),
      warmBytes,
      endBytes: await residentBytes(),
    }
  } finally {
    agent.destroy()
    command.signal('SIGKILL')
    await command.exited
    await redis.stop()
  }
}

/** One connection from start to end. The gateway has to release it when we do. */
async function inflict(port: number, { kind, request, chunks, end }: Garbage): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: false })
  socket.on('error', () => {})
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.resume()
  // Frames follow the answer, as a client's would; a refused connection sends them, too.
  if (request) {
    socket.write(request)
    await Promise.race([new Promise((resolve) => socket.once('data', resolve)), closed])
  }
  for (const chunk of chunks) socket.write(chunk)
  if (end === 'fin') socket.end()
  else socket.resetAndDestroy()
  await within(closed, `the end of ${kind}`)
}
