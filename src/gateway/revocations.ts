import type { TokenClaims } from '../connection/auth.ts'
import { type Connection, Phase } from '../connection/connection.ts'
import type { Closer } from '../connection/end.ts'
import type { OpenSockets } from '../connection/sockets.ts'
import { type Close, closes } from '../contract/codes.ts'
import { entryOf, type TokenRevocation } from '../contract/revocations.ts'
import { PacedWalk } from '../platform/paced.ts'
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
  #also: Judge | undefined

  constructor(parts: RevocationsParts) {
    const { source, sockets, log } = parts
    this.#parts = parts
    const walk = new PacedWalk(sockets, (connection: Connection) => {
      if (!this.judge(connection)) return
      if (this.#unordered.size === 0) setTimeout(() => this.#unordered.clear(), UNORDERED_MS).unref()
      this.#unordered.add(connection)
    })
    this.set = new Revoked({ source, added: () => walk.again(), log })
  }

  /**
   * Applies a revocation before it comes from Redis. Returns the number of sockets that it closes
   * within half a second, with those that were closed just now because Redis was faster than the
   * order.
   */
  take(revocation: TokenRevocation): number {
    this.set.learn(entryOf(revocation), revocation.lifeMs)
    const closer = this.#parts.closer()
    let closed = 0
    for (const connection of this.#parts.sockets)
      if (this.#concerns(revocation, connection) && closer.endTogether(connection, closes.revoked)) closed++
    for (const connection of this.#unordered)
      if (this.#concerns(revocation, connection) && this.#unordered.delete(connection)) closed++
    return closed
  }

  /** Adds what is asked of each open socket, beside the JWT that it goes back to. */
  also(judge: Judge): void {
    this.#also = judge
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
    const { phase, rights } = connection
    if (phase !== Phase.open) return false
    const isRevoked = rights !== undefined && this.set.hasJwt(rights)
    const close = isRevoked ? closes.revoked : this.#also?.closeOf(connection)
    return close !== undefined && this.#parts.closer().endTogether(connection, close)
  }

  /** Compares, and makes no text: an order looks at all sockets in one turn of the event loop. */
  #concerns({ by, value, before }: TokenRevocation, connection: Connection): boolean {
    const { rights } = connection
    if (by === 'sub') return rights?.subject === value && (rights.issuedAt ?? 0) * 1000 <= before
    if (by === 'jti') return rights?.tokenId === value
    return rights?.sid === value || this.#also?.sidOf(connection) === value
  }
}

/** What may be revoked of a socket beside its JWT. */
interface Judge {
  /** Returns the close of a socket whose admission is revoked. */
  closeOf(connection: Connection): Close | undefined
  /** Returns the `sid` of its admission. */
  sidOf(connection: Connection): string | undefined
}
