import { readFileSync } from 'node:fs'
import { ConfigError } from '../config/load.ts'
import { PACKAGE_ROOT } from '../contract/root.ts'

/** Packages that only some settings need. A user installs them beside wsproxy. */

interface Manifest {
  readonly peerDependencies: Readonly<Record<string, string>>
}

/**
 * Loads what `setting` needs of the optional packages whose names begin with `prefix`.
 * @throws ConfigError with the command that installs them, when one is missing.
 */
export async function loadPeers<T>(setting: string, prefix: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const missing = /Cannot find package '([^']+)'/.exec(message)?.[1]
    if (code !== 'ERR_MODULE_NOT_FOUND' || !missing?.startsWith(prefix)) throw error
    const text = readFileSync(new URL('package.json', PACKAGE_ROOT), 'utf8')
    const { peerDependencies } = JSON.parse(text) as Manifest
    const wanted = Object.entries(peerDependencies).filter(([name]) => name.startsWith(prefix))
    const command = `npm install ${wanted.map(([name, range]) => `"${name}@${range}"`).join(' ')}`
    throw new ConfigError([`${setting} is set, but ${missing} is not installed. Unset it, or run: ${command}`])
  }
}
