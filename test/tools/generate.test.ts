import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { describe, it } from 'node:test'
import { generatedFiles } from '../../tools/generate.ts'

describe('npm run generate', () => {
  it('has been run since the sources of the generated files changed', async () => {
    for (const { file, text } of await generatedFiles())
      assert.equal(readFileSync(file, 'utf8'), text, `${basename(file.pathname)} is stale; run: npm run generate`)
  })
})
