import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

const FOLDER = fileURLToPath(new URL('../../../test/model/', import.meta.url))
const isThere = (program: string, flag: string) => spawnSync(program, [flag], { stdio: 'ignore' }).status === 0
const skip = isThere('spin', '-V') && isThere('cc', '--version') ? false : 'needs spin and a C compiler on the PATH'
/** More steps than the longest run of a model has. */
const DEPTH = 100_000
const PATIENCE_MS = 60_000

/** Looks at every state that a model can reach. Returns what the verifier says. */
function check(model: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'wsproxy-model-'))
  const run = (program: string, ...args: string[]) => {
    const { status, stdout, stderr, error } = spawnSync(program, args, { cwd: folder, timeout: PATIENCE_MS })
    if (error) throw error
    assert.equal(status, 0, `${program}: ${stdout}${stderr}`)
    return String(stdout)
  }
  try {
    writeFileSync(join(folder, 'model.pml'), model)
    run('spin', '-a', 'model.pml')
    run('cc', '-O1', '-DSAFETY', '-o', 'pan', 'pan.c')
    return run('./pan', `-m${DEPTH}`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Each model, and a line of it without which it has to fail. */
const MODELS = [
  ['holes', '!isHeld && n > last + 1 -> hold(n); fill()', '!isHeld && n > last + 1 -> next(n)'],
  ['holes', ':: n > last + 1 && heldAt[0] == reads -> again = true', ':: false -> again = true'],
  ['resume', 'isLevel = (cursor >= last);', 'isLevel = true;'],
  ['resume', ':: cursor >= last -> isLevel = true', ':: isLast -> isLevel = true'],
] as const

describe('the model of numbered messages', { skip }, () => {
  for (const name of new Set(MODELS.map(([each]) => each))) {
    it(`${name}.pml loses, doubles and reorders nothing in silence, in any state`, () => {
      const said = check(readFileSync(join(FOLDER, `${name}.pml`), 'utf8'))
      assert.match(said, /errors: 0/)
      assert.doesNotMatch(said, /max search depth too small/)
    })
  }

  for (const [name, line, wrong] of MODELS) {
    it(`${name}.pml fails with "${wrong}"`, () => {
      const model = readFileSync(join(FOLDER, `${name}.pml`), 'utf8')
      assert.ok(model.includes(line))
      assert.match(check(model.replace(line, wrong)), /errors: [1-9]/)
    })
  }
})
