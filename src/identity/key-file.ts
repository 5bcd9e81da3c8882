import { readFileSync, statSync } from 'node:fs'
import { reasonOf } from '../platform/reason.ts'
import { watchFiles } from '../platform/watch-files.ts'
import { type KeySet, keySetOf, MAX_KEY_SET_BYTES } from './keys.ts'

const LOOK_MS = 5000

/** Reads a JWKS file. @throws Error that names the setting, the path and the reason. */
export function readKeyFile(path: string): KeySet {
  try {
    const { size } = statSync(path)
    // A larger file is not read into memory.
    if (size > MAX_KEY_SET_BYTES) throw new Error(`it has ${size} bytes; at most ${MAX_KEY_SET_BYTES} are read`)
    return keySetOf(readFileSync(path, 'utf8'))
  } catch (error) {
    throw new Error(`AUTH_JWKS_FILE: ${JSON.stringify(path)} is not usable: ${reasonOf(error)}`)
  }
}

/**
 * Calls `changed` with the keys after the file has changed. A file that is not usable is reported
 * to `failed` once, and looked at again: the former keys count on. Returns a function that ends the
 * watch.
 */
export const watchKeyFile = (
  path: string,
  changed: (set: KeySet) => void,
  failed: (error: Error) => void,
): (() => void) => watchFiles([path], LOOK_MS, () => changed(readKeyFile(path)), failed)
