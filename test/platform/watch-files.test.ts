import assert from 'node:assert/strict'
import { renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { watchFiles } from '../../src/platform/watch-files.ts'
import { temporaryFolder } from '../support/folder.ts'

it('a watch of files takes an error of a look as one of the change, and goes on', (t) => {
  const { TMPDIR: folder } = temporaryFolder(t)
  const [file, next] = [join(folder, 'file'), join(folder, 'next')]
  writeFileSync(file, 'one')
  t.mock.timers.enable({ apis: ['setInterval'] })
  const failures: (string | undefined)[] = []
  let changes = 0
  const changed = () => {
    changes++
  }
  const failed = ({ code }: NodeJS.ErrnoException) => void failures.push(code)
  t.after(watchFiles([file], 10, changed, failed))
  symlinkSync('file', next)
  renameSync(next, file)
  t.mock.timers.tick(30)
  assert.deepEqual([changes, failures], [0, ['ELOOP']])
  writeFileSync(next, 'two')
  renameSync(next, file)
  t.mock.timers.tick(30)
  assert.deepEqual([changes, failures], [1, ['ELOOP']])
})
