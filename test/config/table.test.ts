import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ALIASES } from '../../src/config/aliases.ts'
import { settings } from '../../src/config/table.ts'

const UNITS: Readonly<Record<string, string>> = { duration: 'Ms', size: 'Bytes' }

describe('the table of settings', () => {
  it('has for each setting the key that its variable name and unit give', () => {
    for (const [key, { env, kind }] of Object.entries(settings)) {
      const words = env
        .replace(/(_SIZE)?(_BYTES)?$/, '')
        .toLowerCase()
        .split('_')
      const camel = words.map((word, i) => (i === 0 ? word : word[0]!.toUpperCase() + word.slice(1))).join('')
      assert.equal(key, camel + (UNITS[kind] ?? ''), env)
    }
  })

  it('gives no name to two settings', () => {
    const names = [...Object.values(settings).map(({ env }) => env), ...ALIASES.map(({ name }) => name)]
    assert.deepEqual(names.toSorted(), [...new Set(names)].sort())
  })
})
