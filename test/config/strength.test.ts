import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { weakness } from '../../src/config/strength.ts'
import { assertProblem, problemsOf } from '../support/config.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const PRODUCTION = { NODE_ENV: 'production', REDIS_URL: 'redis://127.0.0.1' }
const STRONG = '9f3c1e77a0b24d58'

describe('a token in production', () => {
  for (const name of ['ADMIN_TOKEN', 'WS_AUTH_TOKEN']) {
    it(`${name} has at least 16 characters, 6 of them different, and stands in no example`, () => {
      const weak = ['abababababababababab', 'aaaaaaaaaaaaaaaaaaaaaaaa', 'change-me-to-32-random-characters']
      for (const token of [...weak, 'At-Least-16-Characters']) {
        assertProblem({ ...PRODUCTION, [name]: token }, name, 'openssl rand')
        assert.ok(
          !problemsOf({ ...PRODUCTION, [name]: token })
            .join()
            .includes(token),
          'the token is not repeated',
        )
        assert.deepEqual(problemsOf({ [name]: token }), [], 'development takes it')
      }
      assert.deepEqual(problemsOf({ ...PRODUCTION, [name]: STRONG }), [])
    })
  }

  it('of the live door is not short', () => {
    assertProblem({ ...PRODUCTION, WS_AUTH_TOKEN: 'hunter2' }, 'WS_AUTH_TOKEN', '16 characters', 'it has 7')
  })

  it('is none of those that stand in our pages and manifests', () => {
    for (const path of ['k8s/base/secret.example.yaml', 'docs/operations/deploy.md']) {
      const text = readFileSync(`${ROOT}/${path}`, 'utf8')
      const written = [...text.matchAll(/\b(?:ADMIN_TOKEN|WS_AUTH_TOKEN|FLEET_SECRET)(?:=|: )([\w-]{4,})/g)]
      for (const [, token] of written) assert.ok(weakness(token!) !== undefined, `${path}: ${token}`)
    }
  })
})
