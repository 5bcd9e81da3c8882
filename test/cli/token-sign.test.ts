import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, describe, it } from 'node:test'
import { JwtVerifier } from '../../src/identity/verifier.ts'
import { killCommands, run } from '../support/cli.ts'
import { atEnd, scopeOf } from '../support/scope.ts'
import { secretSigner } from '../support/tokens.ts'

describe('wsproxy token sign', () => {
  atEnd(scopeOf(after), killCommands)
  const [first, second] = [randomBytes(24).toString('hex'), randomBytes(24).toString('hex')]
  const env = { AUTH_JWT_SECRET: `${first} ${second}`, AUTH_JWT_AUDIENCE: 'chat,desk', AUTH_JWT_ISSUER: 'me' }
  const sign = (args: string[], more: Record<string, string> = env) => run(['token', 'sign', ...args], { env: more })

  it('token sign prints a token of the first secret that the gateway accepts', async () => {
    const args = ['--session', 's1', '--session', 's2', '--run', 'r1', '--agent', 'a1', '--sub', 'u1', '--ttl', '90s']
    const { status, stdout, stderr } = await sign([...args, '--read-only'])
    assert.deepEqual([status, stderr], [0, ''])
    const rules = { audiences: ['chat'], issuers: ['me'], skewMs: 0 }
    const verdict = new JwtVerifier(rules, [secretSigner(first).verification]).verify(stdout.trim())
    if ('fault' in verdict) assert.fail(verdict.why)
    const { expiresAt = 0, ...rest } = verdict
    assert.ok(Math.abs(expiresAt - Date.now() / 1000 - 90) < 60)
    const { subject, sessions, agent, runs, publishes } = rest
    assert.deepEqual([subject, sessions, agent, runs, publishes], ['u1', ['s1', 's2'], 'a1', ['r1'], false])
  })

  it('token sign names topics, and what the bearer may publish', async () => {
    const { stdout } = await sign([
      '--topic',
      'build.*',
      '--publish-topic',
      'tasks',
      '--session',
      's1',
      '--publish',
      '--sub',
      'u1',
    ])
    const rules = { audiences: ['chat'], issuers: ['me'], skewMs: 0 }
    const verdict = new JwtVerifier(rules, [secretSigner(first).verification]).verify(stdout.trim())
    if ('fault' in verdict) assert.fail(verdict.why)
    const { topics, publishTopics, sessions, appends } = verdict
    assert.deepEqual([topics, publishTopics, sessions, appends], [['build.*'], ['tasks'], ['s1'], true])
    for (const args of [[], ['--topic', 'a', '--publish'], ['--session', 's1', '--publish', '--read-only']]) {
      const { status, stderr } = await sign(args)
      assert.equal(status, 2, args.join(' '))
      assert.match(stderr, /--session/)
    }
  })

  it('token sign exits with 1 and one line without a secret', async () => {
    const { status, stdout, stderr } = await sign(['--session', 's1'], {})
    assert.deepEqual([status, stdout], [1, ''])
    assert.match(stderr, /^AUTH_JWT_SECRET is not set.*\n$/)
  })
})
