import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import fs, { writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { it } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import { jwtsOf } from '../../src/identity/jwts.ts'
import type { Logger } from '../../src/telemetry/log.ts'
import { temporaryFolder } from '../support/folder.ts'

it('keys that are replaced in the start count', (t) => {
  const path = join(temporaryFolder(t).TMPDIR, 'keys.json')
  const keyOf = (kid: string) => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    return { ...publicKey.export({ format: 'jwk' }), kid, alg: 'ES256' }
  }
  const write = (...kids: string[]) => writeFileSync(path, JSON.stringify({ keys: kids.map(keyOf) }))
  write('old')
  const { statSync } = fs
  let isReplaced = false
  // The first look of the watch, which is the one with options.
  t.mock.method(fs, 'statSync', (file: string, options?: object) => {
    if (file === path && options !== undefined && !isReplaced) {
      isReplaced = true
      write('old', 'new')
    }
    return statSync(file, options)
  })
  syncBuiltinESMExports()
  t.after(() => {
    t.mock.reset()
    syncBuiltinESMExports()
  })
  const counts: unknown[] = []
  const log = { info: ({ keys }: { keys: number }) => counts.push(keys) } as unknown as Logger
  const { config } = loadConfig({ AUTH_JWKS_FILE: path })
  const jwts = jwtsOf(config, log)
  t.after(jwts.stop)
  assert.ok(isReplaced)
  assert.deepEqual(counts, [2])
})
