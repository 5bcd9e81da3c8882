import type { TokenClaims } from '../connection/auth.ts'
import { type Connection, Phase } from '../connection/connection.ts'
import type { Closer } from '../connection/end.ts'
import type { OpenSockets } from '../connection/sockets.ts'
import { type Close, closes } from '../contract/codes.ts'
import { entryOf, type TokenRevocation } from '../contract/revocations.ts'
import { reasonOf } from '../platform/reason.ts'
import { RedisUnavailable } from '../platform/unavailable.ts'
import { type RedisRevoked, RevokedUnusable } from '../redis/revoked.ts'
import { Revoked } from '../sessions/revoked.ts'
import type { Logger } from '../telemetry/log.ts'

interface RevocationsParts {
  readonly source: RedisRevoked
  readonly sockets: OpenSockets
  readonly closer: () => Closer
  readonly log: Logger
}

/** Longer than the order of a revocation takes behind its entry in Redis. */
const UNORDERED_MS = 2000

/** Applies the revoked set to the JWTs of upgrades and to all open sockets. */
export class Revocations {
  readonly set: Revoked
  readonly #parts: RevocationsParts
  /** Sockets that were closed in the last seconds without an order. */
  readonly #unordered = new Set<Connection>()
  /** Each returns the close of a socket whose credential is revoked. */
  readonly #judges: ((connection: Connection) => Close | undefined)[] = [
    ({ rights }) => (rights !== undefined && this.set.hasJwt(rights) ? closes.revoked : undefined),
  ]

  constructor(parts: RevocationsParts) {
    const { source, sockets, log } = parts
    this.#parts = parts
    const added = () => {
      for (const connection of sockets) if (this.judge(connection)) this.#unordered.add(connection)
      if (this.#unordered.size > 0) setTimeout(() => this.#unordered.clear(), UNORDERED_MS).unref()
    }
    this.set = new Revoked({ source, added, log })
  }

  /**
   * Applies a revocation at once, before it comes from Redis. Returns the number of sockets that it
   * closed, with those that were closed just now because Redis was faster than the order.
   */
  take(revocation: TokenRevocation): number {
    this.set.learn(entryOf(revocation), revocation.lifeMs)
    let closed = 0
    for (const connection of this.#parts.sockets) if (this.judge(connection)) closed++
    for (const connection of this.#unordered)
      if (concerns(revocation, connection) && this.#unordered.delete(connection)) closed++
    return closed
  }

  /** Adds what is asked of each open socket, beside the JWT that it goes back to. */
  also(judge: (connection: Connection) => Close | undefined): void {
    this.#judges.push(judge)
  }

  /** Whether a JWT is revoked. @throws RedisUnavailable until the set was read once. */
  readonly isRevoked = async (claims: TokenClaims): Promise<boolean> => {
    try {
      await this.set.ready()
    } catch (error) {
      if (!(error instanceof RevokedUnusable)) throw error
      throw new RedisUnavailable(`the revoked tokens cannot be read: ${reasonOf(error)}`, { cause: error })
    }
    return this.set.hasJwt(claims)
  }

  /** Closes an open socket whose credential is revoked. Returns whether it did. */
  judge(connection: Connection): boolean {
    if (connection.phase !== Phase.open) return false
    for (const judge of this.#judges) {
      const close = judge(connection)
      if (close === undefined) continue
      this.#parts.closer().end(connection, close)
      return true
    }
    return false
  }
}

function concerns({ by, value, before }: TokenRevocation, { rights }: Connection): boolean {
  if (rights === undefined) return false
  if (by === 'sub') return rights.subject === value && (rights.issuedAt ?? 0) * 1000 <= before
  return (by === 'jti' ? rights.tokenId : rights.sid) === value
}
