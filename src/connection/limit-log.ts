import { LIMIT_NAMES, type LimitName } from '../contract/reasons.ts'
import type { ClientAddress } from '../http/client-address.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Exceeded } from './limits.ts'

/** A limit that is exceeded is logged after this pause, and then at most once a minute. */
const FIRST_MS = 1000
const AGAIN_MS = 60_000
/** The most addresses that are counted for one line. */
const MAX_ADDRESSES = 64

const LIKELY_CAUSE =
  'the requests have X-Forwarded-For or Forwarded while TRUST_PROXY=none: all clients behind that proxy count as one ' +
  'address; set TRUST_PROXY'

interface Tally {
  readonly value: number
  /** When the next line is due. */
  dueAt: number
  refused: number
  /** Over the limit, but let through because the address is a proxy's. */
  passed: number
  forwarded: boolean
  /** At most `MAX_ADDRESSES`, chosen by the algorithm of Misra and Gries: a frequent one is in it. */
  readonly addresses: Map<string, number>
}

/** One warning a minute and limit, with how many upgrades were over it and from where. */
export class LimitLog {
  readonly #log: Logger
  readonly #tallies = new Map<LimitName, Tally>()

  constructor(log: Logger) {
    this.#log = log
  }

  /** Counts an upgrade over a limit at `now` (ms). */
  count({ limit, value }: Exceeded, { ip, forwarded }: ClientAddress, enforced: boolean, now: number): void {
    const tally = this.#tallies.get(limit) ?? this.#begin(limit, value, now + FIRST_MS)
    // A limit that was quiet for longer than a minute is logged soon again.
    if (tally.refused + tally.passed === 0) tally.dueAt = Math.max(tally.dueAt, now + FIRST_MS)
    if (enforced) tally.refused++
    else tally.passed++
    tally.forwarded ||= forwarded
    countAddress(tally.addresses, ip)
  }

  /** Logs the limits that are due at `now` (ms). Called a few times a second. */
  sweep(now: number): void {
    for (const limit of LIMIT_NAMES) {
      const tally = this.#tallies.get(limit)
      if (tally === undefined || tally.refused + tally.passed === 0 || now < tally.dueAt) continue
      this.#warn(limit, tally)
      this.#begin(limit, tally.value, now + AGAIN_MS)
    }
  }

  #begin(limit: LimitName, value: number, dueAt: number): Tally {
    const tally = { value, dueAt, refused: 0, passed: 0, forwarded: false, addresses: new Map<string, number>() }
    this.#tallies.set(limit, tally)
    return tally
  }

  #warn(limit: LimitName, { value, refused, passed, forwarded, addresses }: Tally): void {
    const [address] = [...addresses].sort(([, a], [, b]) => b - a)[0] ?? []
    const fields = { limit, value, refused, ...(passed > 0 && { passed }), address }
    this.#log.warn(
      { event: 'limit', ...fields, ...(forwarded && { cause: LIKELY_CAUSE }) },
      `upgrades were over ${limit} (${value})`,
    )
  }
}

function countAddress(addresses: Map<string, number>, ip: string): void {
  const count = addresses.get(ip)
  if (count !== undefined || addresses.size < MAX_ADDRESSES) {
    addresses.set(ip, (count ?? 0) + 1)
    return
  }
  for (const [each, seen] of addresses) {
    if (seen === 1) addresses.delete(each)
    else addresses.set(each, seen - 1)
  }
}
