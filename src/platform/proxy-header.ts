import { parseIp } from './address.ts'

/**
 * Reads the header of the PROXY protocol, version 2, at the start of a connection
 * (https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt, section 2.2).
 */

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
/** Signature, version and command, family, and the length of the rest. */
const FIXED_BYTES = 16
const LOCAL = 0x20
const PROXY = 0x21
/** TCP over IPv4 and IPv6: bytes of one address, and of both addresses with their ports. */
const FAMILIES: Readonly<Record<number, { readonly ip: number; readonly all: number }>> = {
  17: { ip: 4, all: 12 },
  33: { ip: 16, all: 36 },
}
const KEPT_BYTES = FIXED_BYTES + 36

/** What the start of a connection says, and the bytes behind it. */
export type ProxyHeader =
  /** `client` is undefined for a health check of the proxy itself, and for other families. */
  | { readonly kind: 'accepted'; readonly client: string | undefined; readonly rest: Buffer }
  /** No header: all bytes belong to the client. */
  | { readonly kind: 'missing'; readonly rest: Buffer }
  | { readonly kind: 'malformed' }

/**
 * Takes the bytes of a connection until its header is complete. It keeps the 52 bytes that hold
 * addresses and skips the TLVs behind them, of which a header may have 64 KiB.
 */
export class ProxyHeaderReader {
  #kept = Buffer.alloc(0)
  #skipped = 0

  /** Returns the header once it is complete. */
  push(chunk: Buffer): ProxyHeader | undefined {
    const bytes = this.#kept.length === 0 ? chunk : Buffer.concat([this.#kept, chunk])
    const compared = Math.min(bytes.length, SIGNATURE.length)
    if (!bytes.subarray(0, compared).equals(SIGNATURE.subarray(0, compared))) return { kind: 'missing', rest: bytes }
    if (bytes.length < FIXED_BYTES) return this.#keep(bytes)
    const length = bytes.readUInt16BE(14)
    const family = FAMILIES[bytes[13]!]
    const command = bytes[12]
    if (command !== LOCAL && command !== PROXY) return { kind: 'malformed' }
    // A shorter header has no address. Whatever stands behind it is the client's.
    if (command === PROXY && family !== undefined && length < family.all) return { kind: 'malformed' }
    const end = FIXED_BYTES + length - this.#skipped
    if (bytes.length < end) return this.#keep(bytes)
    const client = command === PROXY && family ? addressIn(bytes, family.ip) : undefined
    return { kind: 'accepted', client, rest: bytes.subarray(end) }
  }

  #keep(bytes: Buffer): undefined {
    this.#kept = Buffer.from(bytes.subarray(0, KEPT_BYTES))
    this.#skipped += bytes.length - this.#kept.length
  }
}

/** The source address, in canonical text. */
function addressIn(bytes: Buffer, length: number): string | undefined {
  const raw = bytes.subarray(FIXED_BYTES, FIXED_BYTES + length)
  if (length === 4) return raw.join('.')
  return parseIp(raw.toString('hex').replace(/(.{4})(?!$)/g, '$1:'))
}
