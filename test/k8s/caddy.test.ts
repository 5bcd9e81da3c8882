import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { binaryOf, runFront } from '../support/balancer.ts'
import { connect, refused, type TestClient } from '../support/client.ts'
import { temporaryFolder } from '../support/folder.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { freePorts } from '../support/ports.ts'
import { redisFor, type TestRedis } from '../support/redis.ts'
import { type Scope, scopeOf } from '../support/scope.ts'
import { eventually, within } from '../support/wait.ts'

const CADDY = binaryOf('caddy', ['version'])
const FILE = new URL('../../../k8s/lb/Caddyfile', import.meta.url)
const DELAY_MS = 3000
const run = promisify(execFile)

/** For `{ skip }`: `stream_close_delay` needs Caddy 2.7, and Debian 12 has 2.6. */
function withoutCaddy(): string | false {
  if (CADDY === undefined) return 'needs caddy on the PATH'
  const [, major, minor] = /v?(\d+)\.(\d+)/.exec(execFileSync(CADDY, ['version']).toString()) ?? []
  return Number(major) * 100 + Number(minor) < 207 && 'needs caddy 2.7 or later'
}

interface RunningCaddy {
  readonly http: string
  readonly ws: string
  /** Loads a configuration that differs. */
  reload(): Promise<void>
}

/** Starts Caddy in front of two ports, with the shipped configuration apart from addresses. */
async function caddyFor(scope: Scope, ports: readonly number[]): Promise<RunningCaddy> {
  const folder = temporaryFolder(scope).TMPDIR
  const file = join(folder, 'Caddyfile')
  const [front, admin] = await freePorts(2)
  const options = `{\n\tadmin 127.0.0.1:${admin}\n\tauto_https off\n\tpersist_config off\n}\n`
  const shipped = readFileSync(FILE, 'utf8')
    .replaceAll('gateway-1:8080', `127.0.0.1:${ports[0]}`)
    .replaceAll('gateway-2:8080', `127.0.0.1:${ports[1]}`)
    .replace('wsproxy.example.org {', `http://127.0.0.1:${front} {`)
    .replace('stream_close_delay 8h', `stream_close_delay ${DELAY_MS}ms`)
  writeFileSync(file, options + shipped)
  const env = { PATH: process.env.PATH, HOME: folder }
  const running = await runFront(scope, front!, CADDY!, ['run', '--config', file], { env })
  return {
    ...running,
    reload: async () => {
      writeFileSync(file, options + shipped.replace('health_interval 1s', 'health_interval 2s'))
      await run(CADDY!, ['reload', '--config', file, '--address', `127.0.0.1:${admin}`], { env })
    },
  }
}

describe('behind caddy', { skip: withoutCaddy() }, () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let gateways: TestGateway[]
  let front: RunningCaddy
  before(async () => {
    redis = await redisFor(suite)
    const env = { TRUST_PROXY: 'x-forwarded-for', PREFLIGHT_CHECK_TIMEOUT: '2s' }
    gateways = await Promise.all([0, 1].map(() => gatewayFor(suite, { redis, env })))
    front = await caddyFor(
      suite,
      gateways.map(({ http }) => Number(new URL(http).port)),
    )
  })
  const enter = async (session: string, headers: Record<string, string> = {}): Promise<TestClient> =>
    connect(`${front.ws}/agent/ws/${session}`, { token: await gateways[0]!.token(session), headers })
  const accepted = (gateway: TestGateway, session: string) =>
    gateway.log.flatMap(({ event, conn }) => {
      const { session: id, remote } = (conn ?? {}) as { session?: string; remote?: string }
      return event === 'accepted' && id === session ? [remote] : []
    })

  it('passes an upgrade, and frames in both directions', async () => {
    const client = await enter('both')
    const heard: string[] = []
    await (await redis.client()).subscribe('session:both:up', (frame) => void heard.push(frame))
    client.send({ up: 1 })
    await eventually(() => heard.length === 1, 'the frame')
    await gateways[0]!.agent.publish('session:both:down', '{"down":1}')
    await client.find({ down: 1 })
    await client.close()
  })

  it('passes the address of the client, whatever address the client claims', async () => {
    const client = await enter('claims', { 'x-forwarded-for': '203.0.113.9' })
    assert.deepEqual(
      gateways.flatMap((gateway) => accepted(gateway, 'claims')),
      ['127.0.0.1'],
    )
    await client.close()
  })

  it('sends all sockets of a session to one instance', async () => {
    const clients: TestClient[] = []
    for (let i = 0; i < 6; i++) clients.push(await enter('pinned'))
    assert.deepEqual(gateways.map((gateway) => accepted(gateway, 'pinned').length).sort(), [0, 6])
    for (const client of clients) await client.close()
  })

  it('passes a refusal of the gateway unchanged, and nothing that is for operators', async () => {
    const { status, code } = await refused(`${front.ws}/agent/ws/none`, { token: 'wrong' })
    assert.deepEqual([status, code], [403, 'token-rejected'])
    for (const path of ['/metrics', '/version', '/admin', '/api/admin/disconnect', '/api/preflight/reports'])
      assert.equal((await fetch(front.http + path)).status, 404, path)
    assert.equal((await fetch(`${front.http}/health`)).status, 200)
  })

  it('closes all open sockets in one moment, stream_close_delay after a reload, and not before', async () => {
    const clients = await Promise.all(Array.from({ length: 20 }, (_, i) => enter(`reload-${i}`)))
    const from = Date.now()
    const ends = clients.map(async (client) => {
      await within(client.closed, 'the close')
      return Date.now() - from
    })
    await front.reload()
    const late = await enter('after-the-reload')
    const times = await Promise.all(ends)
    assert.ok(Math.min(...times) >= DELAY_MS, `${times}`)
    assert.ok(Math.max(...times) - Math.min(...times) < DELAY_MS, 'one timer for all')
    assert.equal(late.code, undefined)
    await late.close()
  })
})
