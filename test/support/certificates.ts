import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
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

/** A TLS connection to a port of 127.0.0.1 after its handshake. It trusts every certificate. */
export async function shake(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options })
  await once(socket, 'secureConnect')
  return socket
}

/** The fingerprint of the certificate that a new connection to this port gets. */
export async function fingerprintAt(port: number): Promise<string> {
  const socket = await shake(port)
  const { fingerprint256 } = socket.getPeerCertificate()
  socket.destroy()
  return fingerprint256
}
