import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { describe, it } from 'node:test'
import { asError, reasonOf } from '../../src/platform/reason.ts'
import { page } from '../support/pages.ts'
import { freePort } from '../support/ports.ts'

const coded = (code: string, more = {}) => Object.assign(new Error(''), { code, ...more })

describe('the reason of a failure', () => {
  it('is the message, and what the causes add to it', () => {
    assert.equal(reasonOf(new Error('no answer')), 'no answer')
    assert.equal(
      reasonOf(new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED 127.0.0.1:1') })),
      'fetch failed; connect ECONNREFUSED 127.0.0.1:1',
    )
    const repeated = new Error('cannot read a.json: ENOENT', { cause: new Error('ENOENT') })
    assert.equal(reasonOf(repeated), 'cannot read a.json: ENOENT')
  })

  it('is that of the errors within an error that has no message', () => {
    const both = [new Error('connect ECONNREFUSED ::1:1'), new Error('connect ECONNREFUSED 127.0.0.1:1')]
    assert.equal(reasonOf(new AggregateError(both)), 'connect ECONNREFUSED ::1:1; connect ECONNREFUSED 127.0.0.1:1')
    assert.equal(reasonOf(new AggregateError([new AggregateError(both)])), reasonOf(new AggregateError(both)))
    assert.equal(reasonOf(new Error('', { cause: new AggregateError(both) })), reasonOf(new AggregateError(both)))
    assert.equal(reasonOf(Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' })), 'ECONNREFUSED')
  })

  it('is the code, the call and the address where there is no message', () => {
    const refused = { syscall: 'connect', address: '127.0.0.1', port: 6379 }
    assert.equal(reasonOf(coded('ECONNREFUSED', refused)), 'connect ECONNREFUSED 127.0.0.1:6379')
    assert.equal(reasonOf(coded('ENOTFOUND')), 'ENOTFOUND')
    assert.equal(reasonOf({ code: 'ETIMEDOUT' }), 'ETIMEDOUT')
  })

  it('is never empty, whatever is thrown', () => {
    const hostile = {
      get message() {
        throw new Error('no')
      },
    }
    const circular: { self?: unknown; cause?: unknown } = {}
    circular.self = circular
    circular.cause = circular
    const endless = new Error('')
    endless.cause = endless
    const odd = [undefined, null, '', '  ', 0, 1n, Symbol('x'), {}, [], () => {}, new Error(''), new Error(' ')]
    for (const thrown of [...odd, hostile, circular, endless, new AggregateError([]), Object.create(null)]) {
      assert.match(reasonOf(thrown), /\S/)
      assert.ok(asError(thrown) instanceof Error)
    }
    assert.equal(reasonOf('a text'), 'a text')
    assert.equal(reasonOf(undefined), 'undefined was thrown')
    assert.equal(reasonOf({ why: 1 }), '{"why":1} was thrown')
    assert.ok(reasonOf('x'.repeat(10_000)).length < 1100)
  })

  it('is what every part shows of a caught error, and not its message alone', () => {
    // Messages of our own classes and of Redis are never empty; config/ cannot import platform/.
    const own = /isReply\(|isRefusedCommand\(|withoutArguments\(|instanceof|\.test\(error\.message\)|RedisForbids/
    const files = readdirSync(new URL('../../../src', import.meta.url), { recursive: true, encoding: 'utf8' })
    const shown = files
      .filter((path) => path.endsWith('.ts') && !path.startsWith('config/') && path !== 'platform/reason.ts')
      .flatMap((path) =>
        page(`src/${path}`)
          .split('\n')
          .filter((line) => /\b(error|cause|thrown|reason)( as Error)?\)?\.message\b/.test(line) && !own.test(line))
          .map((line) => `${path}: ${line.trim()}`),
      )
    assert.deepEqual(shown, [])
  })

  it('names both addresses of a host name that refuses on both', async () => {
    const port = await freePort()
    const error = await new Promise((resolve) => {
      const lookup = (
        _: string,
        __: unknown,
        done: (error: null, all: { address: string; family: number }[]) => void,
      ) =>
        done(null, [
          { address: '127.0.0.1', family: 4 },
          { address: '::1', family: 6 },
        ])
      connect({ host: 'both.test', port, autoSelectFamily: true, lookup: lookup as never }).on('error', resolve)
    })
    assert.match(reasonOf(error), new RegExp(`127\\.0\\.0\\.1:${port}`))
  })
})
