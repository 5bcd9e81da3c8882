import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { after, afterEach, before, describe, it, mock } from 'node:test'
import { gzipSync } from 'node:zlib'
import { KeyUrl } from '../../src/identity/key-url.ts'
import { reasonOf } from '../../src/platform/reason.ts'
import { type KeyServer, keyServerFor, keySetText } from '../support/key-server.ts'
import { scopeOf } from '../support/scope.ts'
import { newSigners } from '../support/tokens.ts'
import { eventually } from '../support/wait.ts'

describe('the keys of a URL', () => {
  const suite = scopeOf(after)
  const signers = newSigners().slice(2)
  let server: KeyServer
  let keys: KeyUrl | undefined
  before(async () => {
    server = await keyServerFor(suite)
  })
  afterEach(() => {
    keys?.stop()
    mock.timers.reset()
  })

  /** Starts to fetch. Each entry of `got` is a number of keys, or the reason of a failure. */
  function start(options: Partial<ConstructorParameters<typeof KeyUrl>[0]['options']> = {}) {
    const got: unknown[] = []
    const stale: boolean[] = []
    keys = new KeyUrl({
      options: { url: server.url, maxAgeMs: 600_000, cooldownMs: 30_000, staleMs: 86_400_000, ...options },
      got: (set) => void got.push(set.keys.length),
      failed: (error, isStale) => {
        got.push(reasonOf(error))
        stale.push(isStale)
      },
    })
    keys.start()
    return { source: keys, got, stale }
  }

  async function firstOf(answer: KeyServer['answer']): Promise<string> {
    server.answer = answer
    const { got, source } = start()
    await eventually(() => got.length > 0, 'the outcome of the fetch', 10_000)
    assert.equal(source.isAway, typeof got[0] === 'string')
    source.stop()
    return String(got[0])
  }

  it('are taken from a plain answer, and from a compressed one', async () => {
    const text = keySetText(signers)
    assert.equal(await firstOf((_, response) => void response.end(text)), '2')
    const compressed = (_: unknown, response: Parameters<KeyServer['answer']>[1]) =>
      void response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(text))
    assert.equal(await firstOf(compressed), '2')
  })

  it('are refused from any other answer, with the reason', async () => {
    const { privateKey } = generateKeyPairSync('ed25519')
    const own = JSON.stringify({ keys: [privateKey.export({ format: 'jwk' })] })
    const many = `{"keys":[${Array.from({ length: 51 }, () => String(signers[0]!.exposed[1])).join()}]}`
    const answers: [RegExp, KeyServer['answer']][] = [
      [/it answers 500/, (_, response) => void response.writeHead(500).end(keySetText(signers))],
      [/it answers 204/, (_, response) => void response.writeHead(204).end()],
      [/redirects are not followed/, (_, response) => void response.writeHead(302, { location: server.url }).end()],
      [/not JSON/, (_, response) => void response.end('<html>')],
      [/no list "keys"/, (_, response) => void response.end('{}')],
      [/private member "d"/, (_, response) => void response.end(own)],
      [/has 51 keys; at most 50/, (_, response) => void response.end(many)],
      [/no usable key/, (_, response) => void response.end('{"keys":[{"kty":"EC","crv":"P-521"}]}')],
      [/socket|closed|terminated/i, (request) => void request.socket.destroy()],
    ]
    for (const [reason, answer] of answers) assert.match(await firstOf(answer), reason)
  })

  it('are refused past 256 KiB, also compressed, without reading on', async () => {
    let sent = 0
    const endless: KeyServer['answer'] = (_, response) => {
      const write = () => {
        while (sent < 10 * 1024 * 1024 && !response.destroyed) {
          sent += 16 * 1024
          if (!response.write(' '.repeat(16 * 1024))) return void response.once('drain', write)
        }
      }
      write()
    }
    assert.match(await firstOf(endless), /more than 262144 bytes/)
    assert.ok(sent < 10 * 1024 * 1024, `${sent} bytes were read`)
    const bomb = gzipSync(Buffer.alloc(20 * 1024 * 1024, 32))
    assert.match(
      await firstOf((_, response) => void response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb)),
      /more than 262144 bytes/,
    )
  })

  it('are given up after 5 s, whether nothing comes or the body trickles', { timeout: 30_000 }, async () => {
    const begun = Date.now()
    assert.match(await firstOf(() => {}), /no complete answer within 5 s/)
    const tookMs = Date.now() - begun
    assert.ok(tookMs >= 4900 && tookMs < 8000, `${tookMs} ms`)
    const trickle: KeyServer['answer'] = (_, response) => {
      const timer = setInterval(() => response.write(' '), 200)
      response.once('close', () => clearInterval(timer))
    }
    assert.match(await firstOf(trickle), /no complete answer within 5 s/)
  })

  it('are fetched once for all that ask at the same time, and for unknown keys once in a cooldown', async () => {
    server.publish(signers)
    const { source, got } = start({ cooldownMs: 1000 })
    const before = server.asked()
    await Promise.all(Array.from({ length: 100 }, () => source.moreKeys()))
    assert.deepEqual([got, server.asked() - before], [[2], 1])
    await source.moreKeys()
    assert.equal(server.asked() - before, 2)
    assert.deepEqual([source.moreKeys(), source.moreKeys()], [undefined, undefined])
    await eventually(() => source.moreKeys() !== undefined, 'the end of the cooldown')
    await source.moreKeys()
    assert.equal(server.asked() - before, 3)
  })

  it('are fetched again after max-age, but not before 60 s, and not later than the setting', async () => {
    const pauses: number[] = []
    const original = globalThis.setTimeout
    const spy = mock.method(
      globalThis,
      'setTimeout',
      (act: (...rest: unknown[]) => void, ms: number, ...rest: unknown[]) => {
        if (ms >= 40_000) pauses.push(ms)
        return original(act, ms, ...rest)
      },
    )
    const cases: [Record<string, string>, number][] = [
      [{ 'cache-control': 'public, max-age=300' }, 300_000],
      [{ 'cache-control': 'max-age=300', age: '200' }, 100_000],
      [{ 'cache-control': 'max-age=0' }, 60_000],
      [{ 'cache-control': 'no-store' }, 60_000],
      [{ 'cache-control': 'max-age=999999999' }, 600_000],
      [{}, 600_000],
    ]
    for (const [headers, expectedMs] of cases) {
      pauses.length = 0
      server.publish(signers, headers)
      const { got, source } = start()
      await eventually(() => got.length > 0, 'the keys')
      source.stop()
      const [pauseMs = 0] = pauses
      assert.ok(pauseMs >= Math.max(60_000, expectedMs * 0.9 - 1) && pauseMs <= expectedMs, `${pauseMs} ms`)
    }
    spy.mock.restore()
  })

  it('are asked for again after failures, and count no more when they are stale', async () => {
    server.publish(signers)
    const { source, got, stale } = start({ cooldownMs: 1000, staleMs: 1500 })
    await eventually(() => got.length > 0, 'the keys')
    server.answer = (_, response) => void response.writeHead(503).end()
    await source.moreKeys()
    assert.deepEqual([source.isAway, stale[0]], [true, false])
    await eventually(() => stale.at(-1) === true, 'the end of the keys', 10_000)
    server.publish(signers)
    await eventually(() => !source.isAway, 'the keys', 5000)
    assert.equal(got.at(-1), 2)
    assert.ok(source.fetches.ok === 2 && source.fetches.failed >= 2)
  })
})
