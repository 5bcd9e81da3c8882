import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { sessionAuth } from '../../../src/contract/names.ts'
import { balancerFor, balancers, without } from '../../support/balancer.ts'
import { startBrowser, withoutBrowser } from '../../support/browser.ts'
import { killCommands, serve } from '../../support/cli.ts'
import { say } from '../../support/numbered.ts'
import { freePort } from '../../support/ports.ts'
import { killAtExit } from '../../support/processes.ts'
import { type Client, redisFor, type TestRedis } from '../../support/redis.ts'
import { atEnd, scopeOf } from '../../support/scope.ts'
import { eventually } from '../../support/wait.ts'

const EXAMPLE = fileURLToPath(new URL('../../../../examples/stream.py', import.meta.url))
const has = (program: string) => (spawnSync(program, ['--version']).error ? `needs ${program}` : false)
const haproxy = balancers.find(({ name }) => name === 'haproxy')!

describe('a stock client of a stream', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let agent: Client
  before(async () => {
    redis = await redisFor(suite)
    agent = await redis.client()
    atEnd(suite, killCommands)
  })

  const env = { AUTH_TOKEN_MODE: 'reusable', DRAIN_WINDOW: '100ms' }
  const start = async (port: number) => {
    const gateway = await serve({ REDIS_URL: redis.url, ...env, LISTEN_ADDR: `127.0.0.1:${port}` })
    await eventually(async () => (await fetch(`${gateway.http}/ready`)).ok, 'the gateway to be ready')
    return gateway
  }
  const restart = async (gateway: Awaited<ReturnType<typeof start>>, signal: NodeJS.Signals) => {
    gateway.command.signal(signal)
    await gateway.command.status()
    return start(Number(new URL(gateway.http).port))
  }
  /** Writes a message every few ms until `stop`, which resolves with their number. */
  const speaker = (session: string) => {
    let isOver = false
    let n = 0
    const spoken = (async () => {
      while (!isOver) {
        await say(agent, session, JSON.stringify({ n: ++n }))
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    })()
    return async (): Promise<number> => {
      isOver = true
      await spoken
      return n
    }
  }
  const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1)

  it('EventSource in Chromium gets every message once, over a rolling restart and a reload', {
    skip: withoutBrowser || without(haproxy),
  }, async () => {
    let gateways = await Promise.all([await freePort(), await freePort()].map(start))
    const front = await balancerFor(
      suite,
      haproxy,
      gateways.map(({ http }) => Number(new URL(http).port)),
    )
    await agent.set(sessionAuth('browser'), 'token')
    const browser = await startBrowser()
    atEnd(suite, () => browser.close())
    const page = await browser.newPage()
    await page.goto(`${front.http}/livez`)
    // The three lines of the guide, and what a page does that begins where it was after a reload.
    const follow = `(async () => {
      const kept = JSON.parse(sessionStorage.kept ?? '{"ids":[],"ns":[]}')
      const { ticket } = await (await fetch('/agent-1/ticket/browser', { method: 'POST', headers: { Authorization: 'Bearer token' } })).json()
      const source = new EventSource('/agent-1/sse/browser?ticket=' + ticket + '&cursor=' + (kept.ids.at(-1) ?? '-1'))
      source.onmessage = ({ data, lastEventId }) => {
        kept.ids.push(lastEventId)
        kept.ns.push(JSON.parse(data).n)
        sessionStorage.kept = JSON.stringify(kept)
      }
    })()`
    const kept = async (): Promise<{ ids: string[]; ns: number[] }> =>
      JSON.parse(((await page.evaluate('sessionStorage.kept')) as string | undefined) ?? '{"ids":[],"ns":[]}')
    const stop = speaker('browser')
    await page.evaluate(follow)
    const more = async (count: number) => {
      const from = (await kept()).ns.length
      await eventually(async () => (await kept()).ns.length >= from + count, `${count} more messages`)
    }
    await more(50)
    gateways = [await restart(gateways[0]!, 'SIGTERM'), gateways[1]!]
    await more(50)
    gateways = [gateways[0]!, await restart(gateways[1]!, 'SIGTERM')]
    await more(50)
    await page.reload()
    await page.evaluate(follow)
    await more(50)
    gateways = [await restart(gateways[0]!, 'SIGKILL'), await restart(gateways[1]!, 'SIGKILL')]
    await more(50)
    const count = await stop()
    await eventually(async () => (await kept()).ns.length >= count, 'the last message')
    const { ids, ns } = await kept()
    assert.deepEqual(ns, upTo(count))
    assert.equal(new Set(ids).size, count)
    await killCommands()
  })

  it('examples/stream.py gets every message once, over a drain and a crash of the gateway', {
    skip: has('python3'),
  }, async () => {
    let gateway = await start(await freePort())
    await agent.set(sessionAuth('python'), 'token')
    const stop = speaker('python')
    const child = killAtExit(
      spawn('python3', [EXAMPLE, `${gateway.http}/agent-1/sse/python?cursor=-1`, 'token'], {
        stdio: ['ignore', 'pipe', 'inherit'],
      }),
    )
    let printed = ''
    child.stdout!.on('data', (chunk) => {
      printed += chunk
    })
    const ns = () =>
      printed
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line).n)
    const more = async (count: number) => {
      const from = ns().length
      await eventually(() => ns().length >= from + count, `${count} more messages`)
    }
    await more(20)
    gateway = await restart(gateway, 'SIGTERM')
    await more(20)
    gateway = await restart(gateway, 'SIGKILL')
    await more(20)
    const count = await stop()
    await say(agent, 'python', '{"type":"control","command":"stream_end","n":0}', 'close')
    await eventually(() => ns().length > count, 'the last message')
    assert.deepEqual(ns(), [...upTo(count), 0])
    // The next attempt gets 204, and the program ends.
    gateway = await restart(gateway, 'SIGTERM')
    const [status] = await eventually(() => (child.exitCode === null ? undefined : [child.exitCode]), 'the end')
    assert.equal(status, 0)
    await killCommands()
  })

  it('curl follows a stream and posts a frame, as the guide shows', { skip: has('curl') }, async () => {
    const gateway = await start(await freePort())
    await agent.set(sessionAuth('s1'), 'token')
    for (let n = 1; n <= 3; n++) await say(agent, 's1', `{"n":${n}}`)
    const url = `${gateway.http}/agent-1/sse/s1`
    const bearer = ['-H', 'Authorization: Bearer token']
    const child = killAtExit(
      spawn('curl', ['-sN', url, ...bearer, '-H', 'Last-Event-ID: -1'], { stdio: ['ignore', 'pipe', 'inherit'] }),
    )
    let printed = ''
    child.stdout!.on('data', (chunk) => {
      printed += chunk
    })
    await eventually(() => printed.includes('data: {"n":3}\n\n'), 'the messages')
    child.kill()
    const json = ['-H', 'Content-Type: application/json', '-H', 'Idempotency-Key: 7c1f']
    const { stdout } = spawnSync('curl', ['-s', '-X', 'POST', url, ...bearer, ...json, '-d', '{"type":"ask"}'], {
      encoding: 'utf8',
    })
    assert.equal(stdout, '{"receivers":0}')
    await killCommands()
  })
})
