import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { describe, it } from 'node:test'
import { mostSockets, openFilesLimit } from '../../src/platform/open-files.ts'

const module = new URL('../../src/platform/open-files.js', import.meta.url).href

describe('the limit of open files', () => {
  it('decides how many sockets an instance takes, unless MAX_CONNECTIONS does', () => {
    assert.equal(mostSockets(undefined, 1024), 960)
    assert.equal(mostSockets(undefined, 1_000_000), 50_000)
    assert.equal(mostSockets(undefined, Number.POSITIVE_INFINITY), 50_000)
    assert.equal(mostSockets(undefined, 10), 1)
    assert.equal(mostSockets(70_000, 1024), 70_000)
  })

  it('is that of this process', { skip: process.platform !== 'linux' && 'needs /proc' }, () => {
    assert.ok(openFilesLimit()! > 64)
    const program = `import(${JSON.stringify(module)}).then((m) => process.stdout.write(String(m.mostSockets())))`
    const command = `ulimit -n 512; exec ${process.execPath} -e '${program}'`
    assert.equal(execFileSync('/bin/sh', ['-c', command], { encoding: 'utf8' }), '448')
  })
})
