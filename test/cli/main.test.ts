import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, describe, it } from 'node:test'
import { killCommands, run } from '../support/cli.ts'

const COMMANDS = [
  ['serve'],
  ['health'],
  ['doctor'],
  ['connect'],
  ['publish'],
  ['disconnect'],
  ['heap'],
  ['token'],
  ['token', 'create'],
  ['token', 'sign'],
  ['token', 'revoke'],
  ['user'],
  ['user', 'add'],
  ['user', 'list'],
  ['user', 'passwd'],
  ['user', 'role'],
  ['user', 'sessions'],
  ['user', 'disable'],
  ['user', 'enable'],
  ['user', 'delete'],
  ['config'],
  ['redis', 'acl'],
  ['completion'],
  ['redis-url'],
]

describe('wsproxy', () => {
  after(killCommands)

  it('wsproxy and every command print --help with status 0', async () => {
    const runs = await Promise.all([[], ...COMMANDS].map((command) => run([...command, '--help'])))
    for (const [at, { status, stdout, stderr }] of runs.entries()) {
      const name = ['wsproxy', ...(COMMANDS[at - 1] ?? [])].join(' ')
      assert.equal(status, 0, name)
      assert.match(stdout, new RegExp(`^Usage: ${name}\\b`))
      assert.match(stdout, /\nExamples:\n( {2}.*wsproxy .*\n)+$/, name)
      assert.equal(stderr, '')
    }
  })

  it('wsproxy --version prints the version of the package', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'))
    for (const option of ['--version', '-V']) {
      const { status, stdout, stderr } = await run([option])
      assert.deepEqual([status, stdout, stderr], [0, `${version}\n`, ''])
    }
  })

  it('the help of wsproxy names every command', async () => {
    const { stdout } = await run(['--help'])
    const named = [...stdout.split('Examples:')[0]!.matchAll(/^ {2}([a-z-]+) .*$/gm)].map(([, name]) => name!)
    assert.deepEqual(new Set(named), new Set([...COMMANDS.map(([name]) => name), 'help']))
  })

  it('wsproxy exits with 2 on bad arguments and prints the reason on stderr only', async () => {
    const wrong = [
      [],
      ['no-such-command'],
      ['--no-such-option'],
      ['serve', 'extra'],
      ['serve', '--port', '80'],
      ['connect'],
      ['connect', 'ws://127.0.0.1:1/a/ws/b', 'extra'],
      ['connect', 'ws://127.0.0.1:1/a/ws/b', '--token'],
      ['publish'],
      ['publish', 's1'],
      ['token'],
      ['token', 'create'],
      ['token', 'no-such-command'],
      ['token', 'create', 's1', '--ttl'],
      ['config', '--yaml'],
    ]
    const runs = await Promise.all(wrong.map((args) => run(args)))
    for (const [at, { status, stdout, stderr }] of runs.entries()) {
      const said = `wsproxy ${wrong[at]!.join(' ')}`
      assert.equal(status, 2, said)
      assert.equal(stdout, '', said)
      assert.notEqual(stderr, '', said)
      assert.doesNotMatch(stderr, /^ {4}at /m, said)
    }
  })

  it('wsproxy exits with 2 on an invalid value before it connects anywhere', async () => {
    const env = { REDIS_URL: 'redis://127.0.0.1:1' }
    const wrong = [
      ['connect', 'not-an-address'],
      ['connect', 'http://127.0.0.1:1/a/ws/b'],
      ['publish', 'not/an/id', '{}'],
      ['publish', '', '{}'],
      ['publish', 's1', 'not JSON'],
      ['publish', 's1', ''],
      ['token', 'create', 'a;b'],
      ['token', 'create', 'x'.repeat(201)],
      ['redis', 'acl', '--redis', '5'],
      ['redis', 'acl', '--user', 'a b'],
      ['completion', 'tcsh'],
      ['token', 'create', 's1', '--ttl', 'soon'],
      ['token', 'sign'],
      ['user', 'add', 'not-an-address'],
      ['user', 'add', 'a@example.org', '--role', 'king'],
      ['user', 'role', 'a@example.org', 'king'],
      ['user', 'delete', 'a b@example.org'],
      ['token', 'sign', '--session', 's1', '--ttl', '0'],
      ['token', 'create', 's1', '--ttl', '0'],
      ['token', 'create', 's1', '--ttl', '-5'],
    ]
    const runs = await Promise.all(wrong.map((args) => run(args, { env })))
    for (const [at, { complaints, stdout }] of runs.entries()) {
      assert.equal(complaints.length, 1, `one line for ${wrong[at]!.join(' ')}: ${complaints.join('\n')}`)
      assert.equal(stdout, '')
    }
    assert.deepEqual(
      runs.map(({ status }, at) => `${status} ${wrong[at]!.join(' ')}`),
      wrong.map((args) => `2 ${args.join(' ')}`),
    )
  })
})
