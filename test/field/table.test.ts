import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { page, tableRows } from '../support/pages.ts'

describe('the table of faults of the field', () => {
  it('has a row for each report that a test here names, and no other without a file', () => {
    const rows = tableRows(page('test/field/README.md')).map(([report, what]) => [report!, what!] as const)
    const here = rows.filter(([, what]) => !what.includes('.test.ts')).map(([report]) => report)
    const tests = page('test/field/clients.test.ts') + page('test/field/redis.test.ts')
    const named = [...tests.matchAll(/[('](\w[\w-]*\/[\w-]+ \d+)[)']/g)].map(([, report]) => report!)
    assert.deepEqual(here.sort(), named.sort())
    assert.ok(rows.length >= 20)
  })
})
