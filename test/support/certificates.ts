import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { atEnd, type Scope } from './scope.ts'

/** The reason to skip tests that need certificates; false where openssl is installed. */
export const withoutOpenssl = spawnSync('openssl', ['version']).status === 0 ? false : 'openssl is not installed'

/** A certificate for localhost and its key, in files that can be replaced. */
export class Certificate {
  readonly #folder = mkdtempSync(join(tmpdir(), 'wsproxy-tls-'))
  readonly cert = join(this.#folder, 'tls.crt')
  readonly key = join(this.#folder, 'tls.key')

  constructor(scope: Scope) {
    this.renew()
    atEnd(scope, () => rmSync(this.#folder, { recursive: true }))
  }

  /** What a client must trust. */
  get ca(): Buffer {
    return readFileSync(this.cert)
  }

  /** Writes a new certificate and key in the place of the old ones. */
  renew(): void {
    const [cert, key] = [`${this.cert}.new`, `${this.key}.new`]
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
    const { status, stderr } = spawnSync('openssl', ['req', '-x509', ...kind, ...subject, '-keyout', key, '-out', cert])
    if (status !== 0) throw new Error(String(stderr))
    renameSync(cert, this.cert)
    renameSync(key, this.key)
  }
}
