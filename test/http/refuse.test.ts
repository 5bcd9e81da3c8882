import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Refusal, refusals } from '../../src/contract/codes.ts'
import { refused, withRedis } from '../../src/http/refuse.ts'
import { json } from '../../src/http/response.ts'
import { RedisUnavailable } from '../../src/platform/unavailable.ts'

const codeIn = (body: string | Buffer): unknown => JSON.parse(String(body)).error.code

describe('the response that says a refusal', () => {
  it('a refusal is written with its code, its message and its headers', () => {
    for (const refusal of Object.values(refusals)) {
      const { status, type, body, headers } = refused(refusal)
      assert.deepEqual([status, type], [refusal.status, 'application/json'])
      assert.deepEqual(JSON.parse(String(body)), { error: { code: refusal.code, message: refusal.message } })
      for (const [name, value] of Object.entries(refusal.headers ?? {})) assert.equal(headers?.[name], value)
    }
  })

  it('Retry-After is 1 to 4 seconds at random, and only where the refusal says so', () => {
    for (const refusal of Object.values(refusals) as Refusal[]) {
      const waits = Array.from({ length: 200 }, () => refused(refusal).headers?.['Retry-After'])
      assert.deepEqual([...new Set(waits)].sort(), refusal.retryAfter ? ['1', '2', '3', '4'] : [undefined])
    }
  })

  it('a bad request names the field that is wrong', () => {
    const { body } = refused({ ...refusals['bad-request'], message: 'limit: must be a number', field: 'limit' })
    const error = { code: 'bad-request', message: 'limit: must be a number', field: 'limit' }
    assert.deepEqual(JSON.parse(String(body)), { error })
  })
})

describe('an endpoint that needs Redis', () => {
  it('withRedis answers what its work answers', async () => {
    assert.equal((await withRedis(async () => json('200 OK', {}))).status, '200 OK')
  })

  it('withRedis refuses with redis-unavailable when Redis is away', async () => {
    const away = async () => Promise.reject(new RedisUnavailable('away'))
    assert.equal(codeIn((await withRedis(away)).body), 'redis-unavailable')
  })

  it('withRedis refuses with redis-timeout when Redis does not answer within two seconds', async (test) => {
    test.mock.timers.enable({ apis: ['setTimeout'] })
    const answer = withRedis(() => new Promise(() => {}))
    test.mock.timers.tick(2000)
    assert.equal(codeIn((await answer).body), 'redis-timeout')
  })

  it('withRedis rethrows every other error of its work', async () => {
    await assert.rejects(
      withRedis(async () => Promise.reject(new Error('a bug'))),
      /a bug/,
    )
  })
})
