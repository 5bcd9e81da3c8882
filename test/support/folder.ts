import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { atEnd, type Scope } from './scope.ts'

/**
 * Makes a temporary folder, removed when the scope ends, and returns the environment of a command
 * that uses it: no embedded Redis of another process is found there.
 */
export function temporaryFolder(scope: Scope): { readonly TMPDIR: string } {
  const folder = mkdtempSync(join(tmpdir(), 'wsproxy-test-'))
  atEnd(scope, () => rmSync(folder, { recursive: true, force: true }))
  return { TMPDIR: folder }
}
