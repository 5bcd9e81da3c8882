import { parseDuration } from '../config/kinds.ts'
import { REVOCATION_KINDS } from '../contract/revocations.ts'
import { Misused } from './failure.ts'
import { order } from './order.ts'

interface RevokeOptions {
  readonly jti?: string
  readonly sub?: string
  readonly sid?: string
  readonly before?: string
  readonly ttl?: string
  /** The admin address of a gateway. Default: the gateway of this machine. */
  readonly gateway?: string
}

/**
 * Has the gateways revoke JWTs, and prints how many sockets they closed.
 * @throws Misused without exactly one of jti, sub and sid, or without ADMIN_TOKEN. @throws
 * CommandFailed when the gateway refuses, or when an instance has not answered.
 */
export async function revoke({ before, ttl, gateway, ...named }: RevokeOptions): Promise<void> {
  const given = REVOCATION_KINDS.filter((kind) => named[kind] !== undefined)
  const [kind] = given
  if (kind === undefined || given.length > 1) throw new Misused('give exactly one of --jti, --sub and --sid')
  if (before !== undefined && kind !== 'sub') throw new Misused('--before goes with --sub only')
  if (ttl !== undefined && (parseDuration(ttl) ?? 0) < 1000)
    throw new Misused(`--ttl ${ttl} is not a duration of a second or more: seconds, or 90s, 24h, 30d`)
  await order('/api/auth/revoke', { [kind]: named[kind], before, ttl }, gateway)
}
