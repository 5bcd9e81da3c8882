import { ConfigError } from '../config/load.ts'
import type { Config } from '../config/table.ts'
import { reasonOf } from '../platform/reason.ts'
import { checkTls, tlsFiles } from '../platform/tls.ts'

/** @throws ConfigError when the certificate and the key of TLS_CERT and TLS_KEY cannot be used. */
export function checkCertificate(config: Config): void {
  const files = tlsFiles(config)
  try {
    if (files) checkTls(files)
  } catch (error) {
    throw new ConfigError([reasonOf(error)])
  }
}
