import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import WebSocket from 'ws'
import { COMPARED, compared, WORKS } from '../../bench/compare.ts'
import { GO, RUST } from '../../bench/peers/native.ts'
import { planOf, withBuilt } from '../../bench/plan.ts'
import { Impossible } from '../../bench/scenario.ts'
import { SCENARIOS } from '../../bench/scenarios/all.ts'
import { redisServer } from '../../bench/stage/installed.ts'
import { startSubject } from '../../bench/stage/start-subject.ts'
import { SUBJECTS } from '../../bench/subjects.ts'
import { realRedisFor, withoutRealRedis } from '../support/redis.ts'
import { atEnd } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

const MAIN = fileURLToPath(new URL('../../bench/main.js', import.meta.url))
const skip = process.platform === 'linux' ? withoutRealRedis : 'the bench reads /proc, which is there on Linux only'

describe('the comparison', () => {
  it('--compare stands for known works and subjects, and the command line comes first', () => {
    for (const name of COMPARED)
      assert.ok(
        SUBJECTS.some((subject) => subject.name === name),
        name,
      )
    for (const name of Object.keys(WORKS))
      assert.ok(
        SCENARIOS.some((scenario) => scenario.name === name),
        name,
      )
    const plan = planOf(...compared([], { subject: ['ours'] }), () => {})
    assert.deepEqual(plan.map(({ scenario }) => scenario.name).sort(), Object.keys(WORKS).sort())
    const paced = plan.find(({ scenario }) => scenario.name === 'unicast-paced')!
    assert.equal(paced.settings.messages, WORKS['unicast-paced']!.messages)
    const [only] = planOf(...compared(['fanout'], { subject: ['ours'], messages: 5000 }), () => {})
    assert.deepEqual([only!.scenario.name, only!.settings.messages], ['fanout', 5000])
  })

  it('a peer in another language takes part only when it is named', () => {
    const names = (options: { quick?: boolean; subject?: string[] }) =>
      planOf(['fanout'], options, () => {}).flatMap(({ able }) => able.map(({ name }) => name))
    for (const options of [{}, { quick: true }]) assert.ok(!names(options).some((name) => /^(go|rust)$/.test(name)))
  })

  it('a subject that cannot be built is left out with the last words of its toolchain', () => {
    const [planned] = planOf(['fanout'], { subject: ['ours'] }, () => {})
    const build = () => {
      throw new Impossible('go build: no network')
    }
    const left: string[] = []
    const broken = { ...GO, build }
    const plan = [{ ...planned!, able: [...planned!.able, broken] }]
    const [rest] = withBuilt(plan, (what, why) => left.push(`${what}: ${why}`))
    assert.deepEqual([rest!.able.map(({ name }) => name), left], [['ours'], ['skipped: go: go build: no network']])
  })

  it('the lock files of the peers are there, and their versions are in the report', () => {
    assert.match(GO.version!(), /gorilla\/websocket \d.* \+ go-redis\/v9 \d/)
    assert.match(RUST.version!(), /axum \d.* \+ redis \d.* \+ tokio \d.* \+ tokio-tungstenite \d/)
    const sums = new URL('../../../bench/peers/go/go.sum', import.meta.url)
    assert.match(readFileSync(sums, 'utf8'), /gorilla\/websocket/)
  })

  it('without go and cargo the comparison leaves their peers out with a word', { skip }, async () => {
    const dir = mkdtempSync(join(tmpdir(), 'wsproxy-compare-'))
    const found = (process.env.PATH ?? '').split(':').find((each) => {
      try {
        return readdirSync(each).includes(redisServer()!)
      } catch {
        return false
      }
    })
    symlinkSync(join(found!, redisServer()!), join(dir, redisServer()!))
    const small = ['--sockets', '2', '--messages', '40', '--rate', '800', '--rounds', '1', '--json']
    const stderr = await new Promise<string>((resolve) => {
      const args = [MAIN, 'upstream', '--compare', ...small]
      execFile(process.execPath, args, { env: { PATH: dir }, timeout: 60_000 }, (_error, _out, words) => resolve(words))
    })
    rmSync(dir, { recursive: true })
    for (const words of ['go: go', 'rust: cargo']) assert.match(stderr, new RegExp(`^skipped: ${words} is not on`, 'm'))
    assert.match(stderr, /upstream 1\/1 ours/)
  })
})

/** Building them takes minutes, so `npm test` does not do it unasked. */
const native = process.env.NATIVE_PEERS === '1' ? skip : 'set NATIVE_PEERS=1 to build and test the peers in Go and Rust'

describe('the peers in Go and Rust', { skip: native }, () => {
  for (const subject of [GO, RUST])
    it(`${subject.name} keeps the contract: tokens, subscription before the 101, order, the way out`, async (t) => {
      assert.equal(subject.missing!(), undefined)
      subject.build!()
      const redis = await realRedisFor(t)
      const { child, port } = await startSubject(subject, redis.url)
      atEnd(t, () => child.end())
      const client = await redis.client()
      const dial = (token: string) =>
        new WebSocket(`ws://127.0.0.1:${port}/a/ws/s1`, { headers: { Authorization: `Bearer ${token}` } })
      const refused = async (token: string) => {
        const [, response] = await once(dial(token), 'unexpected-response')
        return response.statusCode
      }
      assert.equal(await refused('none'), 403)
      await client.set('session:s1:auth', 'right')
      assert.equal(await refused('wrong'), 403)
      await client.set('session:s1:auth', 'right')
      const socket = dial('right')
      const got: string[] = []
      socket.on('message', (bytes, isBinary) => got.push(`${isBinary ? 'binary ' : ''}${bytes}`))
      await once(socket, 'open')
      assert.equal((await client.pubSubNumSub(['session:s1:down']))['session:s1:down'], 1)
      assert.equal(await refused('right'), 403)
      const sent = Array.from({ length: 500 }, (_, i) => `{"n":${i},"text":"å"}`)
      await Promise.all(sent.map((text) => client.publish('session:s1:down', text)))
      await eventually(() => got.length === sent.length, 'all messages')
      assert.deepEqual(got, sent)
      const heard: string[] = []
      const listener = await redis.client()
      await listener.subscribe('session:s1:up', (text) => heard.push(text))
      for (const text of sent) socket.send(text)
      await eventually(() => heard.length === sent.length, 'all frames at Redis')
      assert.deepEqual(heard, sent)
      socket.close()
      const subscribers = async () => (await client.pubSubNumSub(['session:s1:down']))['session:s1:down']
      await eventually(async () => (await subscribers()) === 0, 'the end of the subscription')
    })
})
