import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, openSync, statSync } from 'node:fs'
import { describe, it } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import { mostSockets, openFiles, openFilesLimit } from '../../src/platform/open-files.ts'

const module = new URL('../../src/platform/open-files.js', import.meta.url).href

const of = (env: Record<string, string>) => loadConfig(env).config

describe('the limit of open files', () => {
  it('decides how many sockets an instance takes, unless MAX_CONNECTIONS does', () => {
    assert.equal(mostSockets(of({}), 1024), 960)
    assert.equal(mostSockets(of({}), 1_000_000), 50_000)
    assert.equal(mostSockets(of({}), Number.POSITIVE_INFINITY), 50_000)
    assert.equal(mostSockets(of({}), 10), 1)
    assert.equal(mostSockets(of({ MAX_CONNECTIONS: '70000' }), 1024), 70_000)
  })

  it('allows a third of the sockets with TRUST_PROXY=proxy-protocol, each of which takes three files', () => {
    const relayed = of({ TRUST_PROXY: 'proxy-protocol' })
    assert.equal(mostSockets(relayed, 1024), 320)
    assert.equal(mostSockets(relayed, 65_536), 21_824)
    assert.equal(mostSockets(relayed, 1_000_000), 50_000)
  })

  it('is that of this process', { skip: process.platform !== 'linux' && 'needs /proc' }, () => {
    assert.ok(openFilesLimit()! > 64)
    const program = `import(${JSON.stringify(module)}).then((m) => process.stdout.write(String(m.mostSockets({}))))`
    const command = `ulimit -n 512; exec ${process.execPath} -e '${program}'`
    assert.equal(execFileSync('/bin/sh', ['-c', command], { encoding: 'utf8' }), '448')
  })
})

const counts = process.platform === 'linux' && statSync('/proc/self/fd').size > 0

describe('the number of open files', { skip: !counts && 'needs Linux 6.2, which counts them' }, () => {
  it('follows what is opened and closed, and costs the same however many are open', (t) => {
    const few = openFiles()
    const files = Array.from({ length: 900 }, () => openSync('/dev/null', 'r'))
    t.after(() => {
      for (const file of files) closeSync(file)
    })
    assert.equal(openFiles(), few + files.length)
    const before = process.cpuUsage()
    for (let i = 0; i < 200; i++) openFiles()
    const { user, system } = process.cpuUsage(before)
    // A list of them takes more than 0.5 ms.
    assert.ok(user + system < 50_000, `${(user + system) / 200} us each`)
    for (const file of files.splice(0)) closeSync(file)
    assert.equal(openFiles(), few)
  })
})
