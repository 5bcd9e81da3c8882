import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { type ConnectionOptions, checkServerIdentity, type PeerCertificate } from 'node:tls'
import type { Config } from '../../config/table.ts'
import { reasonOf } from '../../platform/reason.ts'

/** The settings of TLS to Redis. */
export type TlsSettings = Pick<Config, 'redisTlsCa' | 'redisTlsCert' | 'redisTlsKey' | 'redisTlsServername'>

/**
 * Returns the options of `tls.connect` for a server at `host`, where the caller knows it. Reads the
 * files at each call, so that a renewed certificate needs no restart.
 * @throws Error that names the setting and the file that cannot be read.
 */
export function secureOptions(settings: Partial<TlsSettings>, host?: string): ConnectionOptions {
  const { redisTlsCa: ca, redisTlsCert: cert, redisTlsKey: key, redisTlsServername: wanted } = settings
  const name = wanted ?? host
  return {
    ...(ca !== undefined && { ca: read('REDIS_TLS_CA', ca) }),
    ...(cert !== undefined && { cert: read('REDIS_TLS_CERT', cert) }),
    ...(key !== undefined && { key: read('REDIS_TLS_KEY', key) }),
    // Servers choose their certificate by this name, which cannot be an address (RFC 6066, 3).
    ...(name !== undefined && isIP(name) === 0 && { servername: name }),
    ...(wanted !== undefined && {
      checkServerIdentity: (_: string, certificate: PeerCertificate) => checkServerIdentity(wanted, certificate),
    }),
  }
}

function read(setting: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw new Error(`${setting}: cannot read ${JSON.stringify(path)}`, { cause: error })
  }
}

/** What to do about errors of TLS, by their code or a part of their text. */
const ADVICE: readonly (readonly [RegExp, string])[] = [
  [
    /SELF_SIGNED|self-signed|UNABLE_TO_(GET_ISSUER|VERIFY)|unable to (get|verify)/i,
    'REDIS_TLS_CA names the certificate authority to trust',
  ],
  [
    /certificate required|handshake failure|bad certificate/i,
    'the server may ask for REDIS_TLS_CERT and REDIS_TLS_KEY',
  ],
  [/ALTNAME_INVALID|altnames/i, 'REDIS_TLS_SERVERNAME names the host that the certificate is for'],
  [
    /wrong version number|packet length too long/i,
    'the server speaks no TLS at this port: use redis:// instead of rediss://',
  ],
]

/** Adds to an error of TLS which setting mends it. OpenSSL's own text names none. */
export function advised(error: Error): Error {
  const { code = '' } = error as NodeJS.ErrnoException
  const text = reasonOf(error)
  const [, advice] = ADVICE.find(([pattern]) => pattern.test(`${code} ${text}`)) ?? []
  return advice === undefined ? error : new Error(`${text} (${advice})`, { cause: error })
}
