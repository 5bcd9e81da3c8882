import type { TokenClaims } from '../connection/auth.ts'
import type { Connection } from '../connection/connection.ts'
import type { Closer } from '../connection/end.ts'
import type { OpenSockets } from '../connection/sockets.ts'
import { type Close, closes } from '../contract/codes.ts'
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

/** Applies the revoked set to the JWTs of upgrades and to all open sockets. */
export class Revocations {
  readonly set: Revoked
  readonly #parts: RevocationsParts
  /** Each returns the close of a socket whose credential is revoked. */
  readonly #judges: ((connection: Connection) => Close | undefined)[] = [
    ({ rights }) => (rights !== undefined && this.set.hasJwt(rights) ? closes.revoked : undefined),
  ]

  constructor(parts: RevocationsParts) {
    const { source, sockets, log } = parts
    this.#parts = parts
    const added = () => {
      for (const connection of sockets) this.judge(connection)
    }
    this.set = new Revoked({ source, added, log })
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

  /** Closes an open socket whose credential is revoked. */
  judge(connection: Connection): void {
    for (const judge of this.#judges) {
      const close = judge(connection)
      if (close !== undefined) return this.#parts.closer().end(connection, close)
    }
  }
}
