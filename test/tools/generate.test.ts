import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { describe, it } from 'node:test'
import { generatedFiles } from '../../tools/generate.ts'

describe('npm run generate', () => {
  it('has been run since the sources of the generated files changed', async () => {
    const stale = (await generatedFiles()).filter(({ file, text }) => readFileSync(file, 'utf8') !== text)
    // Not assert.equal on the texts: it takes minutes to print how two large files differ.
    assert.deepEqual(
      stale.map(({ file }) => basename(file.pathname)),
      [],
      'these files are stale; run: npm run generate',
    )
  })
})
