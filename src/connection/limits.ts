import { type Refusal, refusals } from '../contract/codes.ts'
import type { LimitName } from '../contract/reasons.ts'
import type { ClientAddress } from '../http/client-address.ts'
import { networkOf } from '../platform/address.ts'
import { admit, KeyedRate, rateOf } from '../platform/rate.ts'

export interface ConnectLimitsOptions {
  readonly maxConnections: number
  /** Places that only clients with credentials get. Undefined: a tenth of `maxConnections`. */
  readonly reservedConnections: number | undefined
  /** 0: no limit. The same holds for the three rates. */
  readonly maxConnectionsPerIp: number
  /** Upgrades a second on this instance; as many may come at once. */
  readonly connectRate: number
  /** Upgrades a second from one address; twice as many may come at once. */
  readonly connectRatePerIp: number
  /** Refused upgrades a second from one address; twice as many may come at once. */
  readonly refusedRatePerIp: number
  /** Sockets at a time that are open only because a close is their refusal. */
  readonly refusedOpenMax: number
}

/** How long uWebSockets.js waits for a client after the close frame, in ms. */
const LINGER_MS = 4000

/** A limit that an upgrade is over. */
export interface Exceeded {
  readonly limit: LimitName
  readonly value: number
  readonly refusal: Refusal
}

/** Called for each upgrade over a limit. `enforced` is false when it goes on because the address is a proxy's. */
export type OnExceeded = (exceeded: Exceeded, client: ClientAddress, enforced: boolean) => void

/** How long an address is refused after a flood, in ms. */
const PAUSE_MS = 2000
/** Addresses that are paused at a time. */
const MAX_PAUSED = 10_000

const PAUSED: Refusal = Object.freeze({
  ...refusals['connect-rate'],
  message: `A socket from this address sent too many frames: upgrades are refused for ${PAUSE_MS / 1000} s.`,
})

interface Places {
  readonly ip: string
  count: number
}

/**
 * Limits the number of sockets and the rate of upgrades, in all and per address. Each place that
 * was taken is given back exactly once: when the socket is gone, or when the upgrade is refused
 * after all. An IPv6 address counts as its /64.
 */
export class ConnectLimits {
  readonly #options: ConnectLimitsOptions
  readonly #exceeded: ReturnType<typeof exceededOf>
  readonly #onExceeded: OnExceeded
  readonly #places = new Map<string, Places>()
  readonly #attempts: KeyedRate
  readonly #refused: KeyedRate
  readonly #reserved: number
  /** Until when addresses that flooded are refused. */
  readonly #pausedUntil = new Map<string, number>()
  #count = 0
  /** Until when each socket that was opened only to be closed may linger, oldest first. */
  readonly #refusedUntil: number[] = []
  #fullAt = 0

  constructor(options: ConnectLimitsOptions, onExceeded: OnExceeded = () => {}) {
    const { maxConnections, reservedConnections, connectRatePerIp, refusedRatePerIp } = options
    this.#options = options
    this.#onExceeded = onExceeded
    this.#reserved = reservedConnections ?? Math.floor(maxConnections / 10)
    this.#exceeded = exceededOf(options, this.#reserved)
    this.#attempts = new KeyedRate(rateOf(connectRatePerIp, 2 * connectRatePerIp))
    this.#refused = new KeyedRate(rateOf(refusedRatePerIp, 2 * refusedRatePerIp))
  }

  /**
   * Counts an upgrade at `now` (ms), before anything else is asked about it. Returns the refusal
   * when its address is over a rate. The address of a proxy stands for many clients, so such an
   * upgrade goes on.
   */
  attempt(client: ClientAddress, now: number): Refusal | undefined {
    const network = networkOf(client.ip)
    if (client.isClient && (this.#pausedUntil.get(network) ?? 0) > now) return PAUSED
    const exceeded = !this.#refused.allows(network, now)
      ? this.#exceeded.refusedRatePerIp
      : this.#attempts.take(network, now)
        ? undefined
        : this.#exceeded.connectRatePerIp
    if (exceeded === undefined) return undefined
    this.#onExceeded(exceeded, client, client.isClient)
    return client.isClient ? exceeded.refusal : undefined
  }

  /** Refuses the upgrades of an address for a while after a flood from it. */
  pause(ip: string, now: number): void {
    if (this.#pausedUntil.size < MAX_PAUSED) this.#pausedUntil.set(networkOf(ip), now + PAUSE_MS)
  }

  /** Counts a refusal that is the client's own doing: a status of 4xx that is no limit. */
  refused(ip: string, { status }: Refusal, now: number): void {
    if (status.startsWith('4') && !status.startsWith('429')) this.#refused.take(networkOf(ip), now)
  }

  /**
   * Takes a place for a socket at `now` (ms). Returns the refusal when no place is free.
   * @param trusted whether the client has credentials; without, it gets no reserved place.
   */
  take(client: ClientAddress, now: number, trusted: boolean): Refusal | undefined {
    const exceeded = this.#take(client.ip, now, trusted)
    if (exceeded) this.#onExceeded(exceeded, client, true)
    return exceeded?.refusal
  }

  #take(ip: string, now: number, trusted: boolean): Exceeded | undefined {
    const { maxConnections, maxConnectionsPerIp, connectRate } = this.#options
    if (this.#count >= maxConnections) return this.#exceeded.maxConnections
    if (!trusted && this.#count >= maxConnections - this.#reserved) return this.#exceeded.reservedConnections
    const network = networkOf(ip)
    if (maxConnectionsPerIp > 0 && (this.#places.get(network)?.count ?? 0) >= maxConnectionsPerIp)
      return this.#exceeded.maxConnectionsPerIp
    const fullAt = connectRate > 0 ? admit(this.#fullAt, now, 1000 / connectRate, connectRate) : now
    if (fullAt === undefined) return this.#exceeded.connectRate
    this.#fullAt = fullAt
    this.#occupy(network, ip)
    return undefined
  }

  /**
   * Takes a place whatever the limits say, for a socket that is open only to be closed. The caller
   * has asked `takeRefused`.
   */
  takeBeyond(ip: string): void {
    this.#occupy(networkOf(ip), ip)
  }

  #occupy(network: string, ip: string): void {
    const places = this.#places.get(network) ?? { ip, count: 0 }
    places.count++
    this.#count++
    this.#places.set(network, places)
  }

  /**
   * Takes a place among the sockets that are open only to be closed. Returns false when none is
   * free. uWebSockets.js reports such a socket as closed at once, while its TCP connection waits for
   * the client for up to `LINGER_MS`; so each place is taken for that long.
   */
  takeRefused(now: number): boolean {
    const until = this.#refusedUntil
    while (until.length > 0 && until[0]! <= now) until.shift()
    if (until.length >= this.#options.refusedOpenMax) return false
    until.push(now + LINGER_MS)
    return true
  }

  /**
   * Returns the string that all sockets of an address share, so that each does not keep its own
   * copy.
   */
  shared(ip: string): string {
    const known = this.#places.get(networkOf(ip))?.ip
    return known === ip ? known : ip
  }

  /** Gives a place back. */
  give(ip: string): void {
    this.#count--
    const network = networkOf(ip)
    const places = this.#places.get(network)
    if (places && --places.count === 0) this.#places.delete(network)
  }

  /** Forgets the addresses whose buckets are full again. */
  sweep(now: number): void {
    this.#attempts.sweep(now)
    this.#refused.sweep(now)
    for (const [network, until] of this.#pausedUntil) if (until <= now) this.#pausedUntil.delete(network)
  }

  get count(): number {
    return this.#count
  }
}

/** Each limit with the refusal that names it, its value and its setting. Made once. */
function exceededOf(options: ConnectLimitsOptions, reserved: number) {
  const { maxConnections, maxConnectionsPerIp, connectRate, connectRatePerIp, refusedRatePerIp } = options
  const exceeded = (limit: LimitName, value: number, refusal: Refusal, message: string): Exceeded =>
    Object.freeze({ limit, value, refusal: Object.freeze({ ...refusal, message }) })
  const { 'at-capacity': full, 'address-limit': crowded, 'connect-rate': fast } = refusals
  return {
    maxConnections: exceeded(
      'MAX_CONNECTIONS',
      maxConnections,
      full,
      `This instance is at capacity: MAX_CONNECTIONS is ${maxConnections}.`,
    ),
    reservedConnections: exceeded(
      'RESERVED_CONNECTIONS',
      reserved,
      full,
      `This instance is at capacity for clients without a token: RESERVED_CONNECTIONS keeps ${reserved} of ` +
        `MAX_CONNECTIONS (${maxConnections}).`,
    ),
    maxConnectionsPerIp: exceeded(
      'MAX_CONNECTIONS_PER_IP',
      maxConnectionsPerIp,
      crowded,
      `Too many sockets from this address: MAX_CONNECTIONS_PER_IP is ${maxConnectionsPerIp}.`,
    ),
    connectRate: exceeded(
      'CONNECT_RATE',
      connectRate,
      fast,
      `Too many connection attempts on this instance: CONNECT_RATE is ${connectRate} a second.`,
    ),
    connectRatePerIp: exceeded(
      'CONNECT_RATE_PER_IP',
      connectRatePerIp,
      fast,
      `Too many connection attempts from this address: CONNECT_RATE_PER_IP is ${connectRatePerIp} a second.`,
    ),
    refusedRatePerIp: exceeded(
      'REFUSED_RATE_PER_IP',
      refusedRatePerIp,
      fast,
      `Too many refused connection attempts from this address: REFUSED_RATE_PER_IP is ${refusedRatePerIp} a second.`,
    ),
  }
}
