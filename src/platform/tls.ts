import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { reasonOf } from './reason.ts'
import { watchFiles } from './watch-files.ts'

/** The certificate of the listener, and its renewal while the gateway runs. */

/** Paths of PEM files. */
export interface TlsFiles {
  /** The certificate and its chain. */
  readonly cert: string
  readonly key: string
}

/** How often the files are looked at. A renewed certificate is in use this soon, in ms. */
const LOOK_MS = 2000

/** Returns the files of these settings, or undefined when TLS is off. */
export const tlsFiles = (options: { tlsCert: string | undefined; tlsKey: string | undefined }): TlsFiles | undefined =>
  options.tlsCert === undefined || options.tlsKey === undefined
    ? undefined
    : { cert: options.tlsCert, key: options.tlsKey }

/**
 * Reads both files. Returns the fingerprint and the last day of the certificate.
 * @throws Error that names the setting and the file, when the two do not serve.
 */
export function checkTls({ cert, key }: TlsFiles): { fingerprint: string; validTo: string } {
  const pair = { cert: read('TLS_CERT', cert), key: read('TLS_KEY', key) }
  const certificate = parsed('TLS_CERT', cert, () => new X509Certificate(pair.cert))
  const secret = parsed('TLS_KEY', key, () => createPrivateKey(pair.key))
  if (!certificate.checkPrivateKey(secret))
    throw new Error(`TLS_KEY: the key in ${JSON.stringify(key)} is not that of the certificate in TLS_CERT`)
  // OpenSSL also rejects what it finds too weak.
  parsed('TLS_CERT', cert, () => createSecureContext(pair))
  return { fingerprint: certificate.fingerprint256, validTo: certificate.validTo }
}

function read(setting: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw new Error(`${setting}: cannot read ${JSON.stringify(path)}: ${reasonOf(error)}`)
  }
}

function parsed<T>(setting: string, path: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw new Error(`${setting}: ${JSON.stringify(path)} is not usable: ${reasonOf(error)}`)
  }
}

/**
 * Calls `changed` after either file has changed, and again every 2 s until it returns without an
 * error. `failed` gets each error once. Returns a function that ends the watch.
 */
export function watchTls({ cert, key }: TlsFiles, changed: () => void, failed: (error: Error) => void): () => void {
  // The two files are replaced one after the other, so a pair that does not match is usual.
  return watchFiles([cert, key], LOOK_MS, changed, failed)
}
