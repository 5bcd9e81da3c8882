import type { Config } from '../config/table.ts'
import { networks, parseIp } from '../platform/address.ts'
import type { HttpRequest, HttpResponse } from '../platform/uws.ts'
import { listHeader } from './request.ts'

export type TrustOptions = Pick<Config, 'trustProxy' | 'trustProxyHops' | 'trustProxyCidr'>

/** The client behind a loopback address of the relay; undefined for another peer. */
export type ClientOf = (peer: string) => string | undefined

/** The address that a request counts for. */
export interface ClientAddress {
  /** Canonical IP address. */
  readonly ip: string
  /**
   * Whether the address is a client's. False: the peer is a proxy that `TRUST_PROXY` does not name,
   * so its address stands for many clients, and no penalty may go by it.
   */
  readonly isClient: boolean
  /** Whether the request has `X-Forwarded-For` or `Forwarded` although no proxy is trusted. */
  readonly forwarded: boolean
}

/** A peer counts as a proxy for this long after it sent `X-Forwarded-For` or `Forwarded`. */
const PROXY_MS = 60_000
/** At most this many peers are remembered as proxies. */
const MAX_PROXIES = 1000

/** Finds the client address of each request: the peer, or the address that a trusted proxy sent. */
export class ClientAddresses {
  readonly #options: TrustOptions
  readonly #trusts: (peer: string) => boolean
  /** Until when each peer counts as a proxy, while `TRUST_PROXY` is `none`. */
  readonly #proxies = new Map<string, number>()

  readonly #clientOf: ClientOf | undefined

  /** @param clientOf set with `TRUST_PROXY=proxy-protocol`: the relay knows the clients. */
  constructor(options: TrustOptions, clientOf?: ClientOf) {
    this.#options = options
    this.#clientOf = clientOf
    this.#trusts = options.trustProxyCidr.length === 0 ? () => true : networks(options.trustProxyCidr)
  }

  /** Whether a relay has removed the PROXY header of each connection. */
  get relayed(): boolean {
    return this.#clientOf !== undefined
  }

  /** Returns the address of a request at `now` (ms). It must run before the handler returns. */
  of(res: HttpResponse, req: HttpRequest, now: number): ClientAddress {
    const peer = canonical(res.getRemoteAddressAsText())
    const { trustProxy } = this.#options
    if (trustProxy === 'none') return this.#direct(peer, req, now)
    // The relay has looked at TRUST_PROXY_CIDR already.
    if (trustProxy === 'proxy-protocol') return { ip: this.#clientOf?.(peer) ?? peer, isClient: true, forwarded: false }
    const ip = this.#trusts(peer) ? this.#claimed(req, trustProxy) : undefined
    return { ip: ip ?? peer, isClient: true, forwarded: false }
  }

  /** Returns the address that the proxy sent, or undefined when that is not an IP address. */
  #claimed(req: HttpRequest, from: 'x-forwarded-for' | 'forwarded'): string | undefined {
    // The proxy in front of us wrote the last entry, the proxy in front of that one the entry
    // before. The client may have written any entry before those of the trusted proxies. No address
    // contains a comma, so a quote that a client leaves open cannot hide the entries behind it.
    const entries = listHeader(req, from).split(',')
    const entry = entries.at(-this.#options.trustProxyHops) ?? entries[0]!
    return parseIp(from === 'forwarded' ? forIn(entry) : entry)
  }

  /** Peers that count as proxies at `now` (ms) although TRUST_PROXY is `none`. */
  unknownProxies(now: number): string[] {
    return [...this.#proxies].filter(([, until]) => until > now).map(([peer]) => peer)
  }

  #direct(peer: string, req: HttpRequest, now: number): ClientAddress {
    const forwarded = req.getHeader('x-forwarded-for') !== '' || req.getHeader('forwarded') !== ''
    if (forwarded) {
      this.#proxies.delete(peer)
      this.#proxies.set(peer, now + PROXY_MS)
      if (this.#proxies.size > MAX_PROXIES) this.#proxies.delete(this.#proxies.keys().next().value!)
    }
    return { ip: peer, isClient: (this.#proxies.get(peer) ?? now) <= now, forwarded }
  }
}

/** The canonical form of an address that uWebSockets.js gives as text; '' for none. */
function canonical(text: ArrayBuffer): string {
  const latin1 = Buffer.from(text).toString('latin1')
  return parseIp(latin1) ?? latin1
}

/** The `for` of an element of `Forwarded` (RFC 7239, section 4); '' when it has none. */
const forIn = (element: string): string => /(?:^|;)\s*for="?([^";]*)/i.exec(element)?.[1] ?? ''
