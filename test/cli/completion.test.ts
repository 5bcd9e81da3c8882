import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { after, describe, it } from 'node:test'
import { killCommands, run } from '../support/cli.ts'

/** For `{ skip }`: false where the shell is installed, else the reason to skip. */
const without = (shell: string): string | false =>
  spawnSync(shell, ['--version'], { stdio: 'ignore' }).error ? `needs ${shell}` : false

describe('wsproxy completion', () => {
  after(killCommands)

  const script = async (shell: string): Promise<string> => {
    const { status, stdout, stderr } = await run(['completion', shell])
    assert.equal(status, 0, stderr)
    return stdout
  }

  it('in bash completes commands, subcommands, shells and the options of each', { skip: without('bash') }, async () => {
    const source = await script('bash')
    /** What bash offers after these words, of which the last one is being typed. */
    const offered = (...words: string[]): string[] => {
      const line = ['wsproxy', ...words]
      const ask = `COMP_WORDS=(${line.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}; _wsproxy; printf '%s\\n' "\${COMPREPLY[@]}"`
      const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', `${source}\n${ask}`], { encoding: 'utf8' })
      assert.equal(stderr, '')
      return stdout.split('\n').filter(Boolean)
    }
    assert.ok(['serve', 'connect', 'publish', 'token', 'doctor'].every((each) => offered('').includes(each)))
    assert.deepEqual(offered('conn'), ['connect'])
    assert.ok(offered('token', '').includes('create'))
    assert.deepEqual(offered('token', 'create', 's1', '--tt'), ['--ttl'])
    assert.deepEqual(offered('completion', ''), ['bash', 'zsh', 'fish'])
    assert.ok(offered('connect', '--').includes('--token'))
    assert.ok(!offered('connect', '--').includes('--ttl'))
    assert.deepEqual(offered('--vers'), ['--version'])
    assert.deepEqual(offered('serve', ''), [])
  })

  for (const shell of ['zsh', 'fish'] as const) {
    it(`in ${shell} is a script without syntax errors`, { skip: without(shell) }, async () => {
      const { status, stderr } = spawnSync(shell, ['-n'], { input: await script(shell), encoding: 'utf8' })
      assert.equal(status, 0, stderr)
    })
    it(`in ${shell} names every command and option`, async () => {
      const source = await script(shell)
      for (const word of ['serve', 'create', 'ttl', 'session', 'markdown']) assert.match(source, new RegExp(word))
    })
  }
})
