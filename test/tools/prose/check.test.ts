import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

const SCRIPT = fileURLToPath(new URL('../../../../tools/prose/check.mjs', import.meta.url))
const NAMES = { GIT_AUTHOR_NAME: 'a', GIT_AUTHOR_EMAIL: 'a@b', GIT_COMMITTER_NAME: 'a', GIT_COMMITTER_EMAIL: 'a@b' }
const LONG = 'x'.repeat(101)

const withoutGit = spawnSync('git', ['--version']).status === 0 ? false : 'git is not installed'

describe('the check of wording', { skip: withoutGit }, () => {
  let folder: string
  const git = (...args: string[]) => {
    const { status, stderr } = spawnSync('git', args, { cwd: folder, env: { ...process.env, ...NAMES } })
    assert.equal(status, 0, String(stderr))
  }
  const write = (file: string, ...lines: string[]) => writeFileSync(join(folder, file), `${lines.join('\n')}\n`)
  const commit = () => {
    git('add', '-A')
    git('commit', '--quiet', '-m', 'a commit')
  }
  /** The first column of each problem: `file:line`. */
  const problems = (...args: string[]): string[] => {
    const { status, stderr } = spawnSync(process.execPath, [SCRIPT, ...args], { cwd: folder, encoding: 'utf8' })
    const found = [...stderr.matchAll(/^(\S+:\d+): /gm)].map(([, at]) => at!)
    assert.equal(status, found.length > 0 ? 1 : 0, stderr)
    return found
  }

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'wsproxy-prose-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it('passes outside a git repository and in one without a commit', () => {
    write('a.ts', '// Nobody is told.')
    assert.deepEqual(problems(), [])
    git('init', '--quiet', '--initial-branch', 'main')
    rmSync(join(folder, 'a.ts'))
    assert.deepEqual(problems(), [])
  })

  it('reports changed lines only: of the last commit, of the working tree, and of new files', () => {
    git('init', '--quiet', '--initial-branch', 'main')
    write('a.ts', '// Nobody reads it.', 'const a = 1')
    commit()
    write('a.ts', '// Nobody reads it.', 'const a = 2 // somebody sets it')
    commit()
    write('a.ts', '// Nobody reads it.', 'const a = 2 // somebody sets it', '/** The same. */')
    write('b.md', 'The link tells the caller.')
    assert.deepEqual(problems(), ['a.ts:2', 'a.ts:3', 'b.md:1'])
    assert.deepEqual(problems('--all'), ['a.ts:1', 'a.ts:2', 'a.ts:3', 'b.md:1'])
  })

  it('reports on a branch all that differs from the default branch', () => {
    git('init', '--quiet', '--initial-branch', 'main')
    write('a.ts', '// Nobody reads it.')
    commit()
    git('checkout', '--quiet', '-b', 'other')
    for (const word of ['somebody', 'whoever']) {
      write(`${word}.ts`, `// For ${word}.`)
      commit()
    }
    assert.deepEqual(problems(), ['somebody.ts:1', 'whoever.ts:1'])
  })

  it('reads comments and pages, and neither code, quotations, headings nor code blocks', () => {
    git('init', '--quiet')
    write('a.mjs', "const nobody = 'somebody'", '// the user `nobody` and "somebody"', `const long = '${LONG}'`)
    write('b.md', '# Who tells whom', '', '```', 'nobody', '```', '', '    nobody', '', `a long line: ${LONG}`)
    assert.deepEqual(problems(), [])
  })

  it('reports a comment line of more than 100 columns, unless it holds an address', () => {
    git('init', '--quiet')
    write('a.ts', `// ${LONG}`, `// https://example.com/${LONG}`, ` * ${LONG}`, `// ${'x'.repeat(97)}`)
    assert.deepEqual(problems(), ['a.ts:1', 'a.ts:3'])
  })
})
