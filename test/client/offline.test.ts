import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { after, afterEach, describe, it, mock } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { WebSocket } from 'ws'
import { type Envelope, live, type SocketClass } from '../../client/src/index.ts'
import { Drain, type DrainState } from '../../client/src/offline/drain.ts'
import { decide, merge, overHttp, overLive } from '../../client/src/offline/index.ts'
import { uuid } from '../../client/src/offline/merge.ts'
import type { Answer, Waiting } from '../../client/src/offline/store.ts'
import { gatewayFor } from '../support/gateway.ts'
import { atEnd, scopeOf } from '../support/scope.ts'
import { secretSigner, tokenOf } from '../support/tokens.ts'
import { eventually } from '../support/wait.ts'
import { freezeTime, pass, settle } from './fake-socket.ts'

const MAX_GZIPPED_BYTES = 4 * 1024
const HISTORIES = 100_000

const envelopeOf = (fields: Partial<Envelope> = {}): Envelope => ({
  correlation_id: randomUUID(),
  ts: 1,
  op: 'update',
  domain: 'tasks',
  id: 't1',
  ...fields,
})

describe('the offline part of the client', () => {
  it('has at most 4 KB, minified and gzipped', async () => {
    const { outputFiles } = await build({
      entryPoints: [fileURLToPath(new URL('../../../client/src/offline/index.ts', import.meta.url))],
      bundle: true,
      minify: true,
      format: 'esm',
      target: 'es2022',
      write: false,
    })
    const bytes = gzipSync(outputFiles[0]!.contents, { level: 9 }).length
    assert.ok(bytes <= MAX_GZIPPED_BYTES, `${bytes} bytes`)
  })

  it('makes ids of RFC 9562, version 7, that sort by time', () => {
    const ids = Array.from({ length: 100 }, (_, i) => uuid(1_767_225_600_000 + i * 1000))
    for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    assert.deepEqual([...ids].sort(), ids)
    assert.equal(Number.parseInt(ids[0]!.replace('-', '').slice(0, 12), 16), 1_767_225_600_000)
  })
})

describe('two changes of one thing', () => {
  it('are decided by ts, then by the larger correlation id, and a delete is a tombstone', () => {
    const [low, high] = [envelopeOf({ correlation_id: 'a' }), envelopeOf({ correlation_id: 'b' })]
    assert.deepEqual(decide(undefined, low), { winner: 'remote', reason: 'newer' })
    assert.deepEqual(decide(low, { ...high, ts: 2 }), { winner: 'remote', reason: 'newer' })
    assert.deepEqual(decide({ ...low, ts: 2 }, high), { winner: 'local', reason: 'newer' })
    assert.deepEqual(decide(low, high), { winner: 'remote', reason: 'tie-break' })
    assert.deepEqual(decide(high, low), { winner: 'local', reason: 'tie-break' })
    assert.deepEqual(decide(low, low), { winner: 'local', reason: 'duplicate' })
    assert.deepEqual(decide({ ...low, ts: 2, op: 'delete' }, high), { winner: 'local', reason: 'tombstone' })
    assert.deepEqual(decide(low, { ...high, ts: 2, op: 'delete' }), { winner: 'remote', reason: 'tombstone' })
  })

  it(`merge in any order, in any grouping and any number of times, over ${HISTORIES} histories`, () => {
    // Park and Miller's generator: two runs agree.
    let seed = 20_240_601
    const below = (n: number) => {
      seed = (seed * 48_271) % 2_147_483_647
      return seed % n
    }
    const history = () =>
      Array.from({ length: 1 + below(6) }, () => {
        const number = below(12)
        // What a change is follows from its id, as each change has an id of its own.
        const op = (['create', 'update', 'delete'] as const)[number % 3]!
        return envelopeOf({
          correlation_id: `c${number}`,
          ts: 1 + (number % 4),
          op,
          id: `t${number % 2}`,
          data: number,
        })
      })
    type State = ReadonlyMap<string, Envelope>
    const join = (state: State, changes: Iterable<Envelope>): State => {
      const joined = new Map(state)
      for (const change of changes) joined.set(change.id, merge(joined.get(change.id), change))
      return joined
    }
    const text = (state: State) =>
      [...state.values()]
        .map((each) => each.correlation_id)
        .sort()
        .join()
    const none: State = new Map()
    for (let i = 0; i < HISTORIES; i++) {
      const [a, b, c] = [history(), history(), history()]
      const [sa, sb, sc] = [join(none, a), join(none, b), join(none, c)]
      const ab = join(sa, sb.values())
      assert.equal(text(ab), text(join(sb, sa.values())), 'commutative')
      assert.equal(text(join(ab, sc.values())), text(join(sa, join(sb, sc.values()).values())), 'associative')
      assert.equal(text(join(ab, [...a, ...b, ...a])), text(ab), 'idempotent')
      assert.equal(text(join(none, [...c, ...a, ...b])), text(join(ab, sc.values())), 'as one history')
    }
  })
})

describe('the drain of an outbox', () => {
  afterEach(() => mock.reset())

  /** A drain of `left` envelopes, whose gateway gives the answers of `answer`. */
  function drain(left: number, answer: (attempt: number) => readonly Answer[] | Error) {
    const states: DrainState[] = []
    let attempts = 0
    const queue = Array.from({ length: left }, (_, n) => ({ n }) as Waiting)
    const it = new Drain({
      next: async (count) => queue.slice(0, count),
      publish: async () => {
        const given = answer(++attempts)
        if (given instanceof Error) throw given
        return given
      },
      settle: async (sent, answers) => {
        const done = sent.filter((_, i) => answers[i] && !answers[i].code)
        for (const each of done) queue.splice(queue.indexOf(each), 1)
        return done.length < sent.length
      },
      state: (state) => states.push(state),
    })
    return { it, states, queue, attempts: () => attempts }
  }

  it('waits 1, 2, 4 .. 30 s between attempts, and shows it', async () => {
    freezeTime(0)
    const { it, states } = drain(1, () => new Error('away'))
    void it.run()
    for (const ms of [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]) {
      await settle()
      assert.deepEqual(states.at(-1), { name: 'waiting', ms })
      await pass(ms)
    }
    it.stop()
  })

  it('takes up to a half off each pause', async () => {
    freezeTime(1)
    const { it, states } = drain(1, () => [{ code: 'redis-unavailable' }])
    void it.run()
    await settle()
    assert.deepEqual(states.at(-1), { name: 'waiting', ms: 500 })
    it.stop()
  })

  it('ends a pause when the network is back, and not when more waits', async () => {
    freezeTime(0)
    const { it, states, queue, attempts } = drain(1, (attempt) => (attempt === 3 ? [{}] : new Error('away')))
    void it.run()
    await settle()
    it.nudge()
    await settle()
    assert.equal(attempts(), 1)
    it.retry()
    await settle()
    assert.deepEqual([attempts(), states.at(-1)], [2, { name: 'waiting', ms: 1000 }])
    await pass(1000)
    assert.deepEqual([attempts(), queue.length, states.at(-1)], [3, 0, { name: 'idle' }])
    queue.push({ n: 9 } as Waiting)
    it.nudge()
    await settle()
    assert.equal(attempts(), 4)
    it.stop()
  })

  it('sends twenty at a time until nothing is left, and ends when it is stopped', async () => {
    const { it, queue, attempts, states } = drain(45, () => Array(20).fill({}))
    const ended = it.run()
    await eventually(() => states.at(-1)?.name === 'idle', 'the end')
    assert.deepEqual([queue.length, attempts()], [0, 3])
    it.stop()
    await ended
  })
})

describe('the ways to the gateway', () => {
  const suite = scopeOf(after)
  const SECRET = randomBytes(24).toString('hex')
  const token = tokenOf(secretSigner(SECRET), { sub: 'ann', topics: '*', publish_topics: '*' })
  const env = { AUTH_JWT_SECRET: SECRET, WS_AUTH_REQUIRED: 'true', OUTBOX_TOPICS: 'tasks' }

  it('publish each envelope once, and say what was refused', async () => {
    const gateway = await gatewayFor(suite, { env })
    const hub = live(gateway.url, { token, WebSocket: WebSocket as unknown as SocketClass })
    atEnd(suite, () => hub.close())
    const ways = [overLive(hub), overHttp(gateway.url, () => token)]
    let retries = 0
    ways[0]!.watch!(() => retries++)
    await assert.rejects(ways[0]!.publish([]), /not connected/)
    await eventually(() => hub.state.name === 'open', 'the connection')
    assert.equal(retries, 1)
    const list = [envelopeOf(), envelopeOf({ ts: Date.now() + 3_600_000 })].map((envelope) => ({
      topic: 'tasks',
      envelope,
    }))
    list.push({ topic: 'other', envelope: envelopeOf() })
    for (const way of ways) {
      const answers = await way.publish(list)
      assert.deepEqual(
        answers.map(({ code }) => code),
        [undefined, 'clock-ahead', 'unknown-topic'],
      )
      assert.ok(Date.parse(answers[0]!.server_time!) > 0)
    }
    assert.equal(await gateway.agent.xLen('{live:tasks}:outbox'), 1)
    await assert.rejects(overHttp(gateway.http, 'a.wrong.token').publish(list), /403/)
  })

  it('publish by HTTP what is too large together, and refuse what is too large alone', async () => {
    const gateway = await gatewayFor(suite, { env })
    const list = [100, 100, 100, 300].map((kilobytes) => ({
      topic: 'tasks',
      envelope: envelopeOf({ data: 'x'.repeat(kilobytes * 1024) }),
    }))
    const answers = await overHttp(gateway.http, token).publish(list)
    assert.deepEqual(
      answers.map(({ code }) => code),
      [undefined, undefined, undefined, 'message-too-large'],
    )
    assert.equal(await gateway.agent.xLen('{live:tasks}:outbox'), 3)
  })
})
