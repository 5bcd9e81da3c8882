import { type Close, type Refusal, refusals } from '../contract/codes.ts'
import type { ClientAddresses } from '../http/client-address.ts'
import { respond, respondLater } from '../http/refuse.ts'
import { hasProxyHeader, readLines } from '../http/request.ts'
import { asError, reasonOf } from '../platform/reason.ts'
import type { Selectable } from '../platform/selection.ts'
import { RedisForbids, RedisUnavailable } from '../platform/unavailable.ts'
import type { HttpRequest, HttpResponse } from '../platform/uws.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { SpanHandle, Tracing } from '../telemetry/tracing.ts'
import type { Attempt } from './attempt.ts'
import type { Bindings } from './bind.ts'
import { type CheckOptions, type CheckParts, closeInstead, UpgradeChecks } from './checks.ts'
import { Connection, Phase, type Socket } from './connection.ts'
import { awaitKey, type CredentialParts, countCredential, faultOf } from './credential.ts'
import { type Admission, type Door, NO_DOOR } from './door.ts'
import type { Entry } from './entry.ts'
import { type LoggedDoor, RefusalLog } from './refusal-log.ts'
import { endOf, type RenewalOptions } from './renewal.ts'
import { clockMs } from './times.ts'

interface AcceptOptions extends CheckOptions, RenewalOptions {
  readonly handshakeTimeoutMs: number
}

export interface AcceptParts extends CheckParts, CredentialParts {
  readonly options: AcceptOptions
  readonly bindings: Bindings
  readonly addresses: ClientAddresses
  readonly metrics: Metrics
  readonly log: Logger
  readonly tracing?: Tracing | undefined
  /**
   * Whether Redis may forbid this channel. Then it is subscribed before the token is spent, so that
   * a forbidden channel costs no token.
   */
  readonly channelSuspect: (channel: string) => boolean
  /** Called when the upgrade is complete. */
  readonly opened: (connection: Connection) => void
}

/** Refuses an upgrade that is under way when an operator disconnects its client. */
const DISMISSED: Refusal = { ...refusals.forbidden, message: 'An operator has disconnected this client.' }

/**
 * Leads an upgrade request to an open socket or to a refusal in HTTP: a flat list of checks that
 * need no Redis, then the token, then the subscription, then the 101. Every outcome without a
 * socket gives the place in the limits back.
 */
export class Acceptor {
  readonly #parts: AcceptParts
  readonly checks: UpgradeChecks
  readonly #pending = new Set<Attempt>()
  readonly #refusals: RefusalLog

  constructor(parts: AcceptParts) {
    this.#parts = parts
    this.checks = new UpgradeChecks(parts)
    this.#refusals = new RefusalLog(parts.log)
  }

  /** The handler of a door. uWebSockets.js reuses the request: copy all of it first. */
  accept(door: Door, req: HttpRequest, entry: Entry): void {
    const startedAt = performance.now()
    const { res } = entry
    const traced = this.#parts.tracing?.handshake(door.name, req.getHeader('traceparent'))
    let attempt: Attempt | undefined
    let isGone = false
    res.onAborted(() => {
      isGone = true
      if (attempt) this.#finish(attempt, 'aborted')
    })
    try {
      const client = this.#parts.addresses.of(res, req, startedAt)
      const address = client.ip
      const { ambiguity, protocol } = readLines(req)
      const unclear = ambiguity !== undefined || (this.#parts.addresses.relayed && hasProxyHeader(res))
      const verdict = this.checks.verdict(door, req, client, startedAt, { unclear, protocol })
      if (verdict.kind === 'refuse') {
        this.refused(door, address, verdict.refusal, traced, undefined, verdict.why)
        return unclear ? respondLater(res, verdict.refusal, () => isGone) : entry.refuse(verdict.refusal)
      }
      if (verdict.kind === 'close') {
        this.refused(door, address, verdict.refusal, traced, undefined, verdict.why)
        return this.#closeAtOnce(door, address, verdict.close, entry.openRefused!(verdict.protocol))
      }
      const { admission, credentials, late } = verdict
      // Written out, without a spread: V8 does not know the shape of spread objects and is slow
      // with them.
      attempt = {
        door,
        entry,
        address: this.#parts.limits.shared(address),
        admission,
        credentials,
        late,
        startedAt,
        traced,
        connection: undefined,
        rights: credentials.rights,
        giveBack: undefined,
        dismissed: false,
        over: false,
      }
      this.#pending.add(attempt)
    } catch (error) {
      this.#fault(error)
      this.refused(door, '', refusals['internal-error'], traced)
      return respond(res, refusals['internal-error'])
    }
    void this.#handshake(attempt)
  }

  /** Refuses an upgrade on a path that no door has. It counts in the rates of its address. */
  unknown(res: HttpResponse, req: HttpRequest, refusal: Refusal): void {
    const now = performance.now()
    const { addresses, limits } = this.#parts
    const client = addresses.of(res, req, now)
    const tooFast = limits.attempt(client, now)
    if (!tooFast) limits.refused(client.ip, refusal, now)
    const shown = tooFast ?? refusal
    this.refused(NO_DOOR, client.ip, shown, undefined, req.getUrl().slice(0, 100))
    respond(res, shown)
  }

  /** Refuses the attempts that have waited for Redis for too long. The core calls it regularly. */
  sweep(now: number): void {
    for (const attempt of this.#pending) {
      // The set keeps the order of arrival, so no later attempt has waited longer.
      if (now - attempt.startedAt < this.#parts.options.handshakeTimeoutMs) return
      this.#refuse(attempt, refusals[attempt.late ? 'keys-unavailable' : 'redis-timeout'])
    }
  }

  /** Refuses every attempt that is under way, when a drain begins. */
  refusePending(): void {
    for (const attempt of [...this.#pending]) this.#refuse(attempt, refusals.draining)
  }

  /**
   * Refuses the attempts under way that an operator has selected, since their tokens may be spent
   * already. Returns their number.
   */
  dismiss(isSelected: (client: Selectable) => boolean): number {
    const chosen = [...this.#pending].filter(({ door, address, admission: { subject }, rights }) =>
      isSelected({ door, address, subject, rights }),
    )
    for (const attempt of chosen) {
      attempt.dismissed = true
      this.#refuse(attempt, DISMISSED)
    }
    return chosen.length
  }

  async #handshake(attempt: Attempt): Promise<void> {
    try {
      if (attempt.late) {
        const refused = await awaitKey(attempt)
        if (attempt.over) return
        if (refused) return this.#refuse(attempt, refused.refusal, refused.why)
      }
      const { redisChannel } = attempt.admission
      const tokenKey = attempt.rights ? undefined : attempt.admission.tokenKey
      const bindFirst = tokenKey !== undefined && this.#parts.channelSuspect(redisChannel)
      if (bindFirst) await this.#bind(attempt)
      if (attempt.over) return
      if (tokenKey !== undefined || attempt.rights) {
        const fault = await faultOf(attempt, tokenKey, this.#parts)
        if (attempt.over) return
        if (fault !== undefined) return this.#refuse(attempt, refusals['token-rejected'], fault)
      }
      if (!bindFirst) await this.#bind(attempt)
      if (attempt.over) return
      if (attempt.admission.admitted) {
        await attempt.admission.admitted(attempt.connection!)
        if (attempt.over) return
      }
      // So much was published during the upgrade that the buffer is full.
      if (attempt.connection!.phase !== Phase.accepting) return this.#refuse(attempt, refusals['at-capacity'])
      this.#complete(attempt)
    } catch (error) {
      if (attempt.over) return
      if (error instanceof RedisUnavailable)
        return this.#refuse(attempt, refusals['redis-unavailable'], reasonOf(error))
      if (error instanceof RedisForbids) return this.#refuse(attempt, refusals.forbidden, reasonOf(error))
      this.#fault(error)
      this.#refuse(attempt, refusals['internal-error'])
    }
  }

  /** Makes the connection and joins its topics. Resolves when Redis has confirmed them. */
  #bind(attempt: Attempt): Promise<unknown> {
    const { door, admission, address } = attempt
    const { subject, doorState } = admission
    const connection = new Connection(door, subject, address, clockMs(), doorState, attempt.traced?.context)
    attempt.connection = connection
    connection.compresses = attempt.entry.compresses
    admission.onBound?.(connection)
    const joined = this.#join(connection, admission)
    const bound = admission.ready === undefined ? joined : Promise.all([joined, admission.ready()])
    return admission.prepare === undefined ? bound : bound.then(() => admission.prepare!(connection))
  }

  /**
   * Resolves when Redis has confirmed every topic. It is not async: most sockets have one topic.
   */
  #join(connection: Connection, { source, topics, topicsRequired }: Admission): Promise<unknown> {
    const join = (channels: readonly string[]) => this.#parts.bindings.join(connection, source, channels)
    if (topicsRequired) return topics.length === 1 ? join(topics[0]!) : Promise.all(topics.map(join))
    // The door sends the client an error for a topic that Redis forbids. The socket opens without
    // it.
    const joinIfAllowed = (channels: readonly string[]) =>
      join(channels).catch((error: unknown) => {
        if (error instanceof RedisUnavailable) throw error
      })
    return Promise.all(topics.map(joinIfAllowed))
  }

  /** Sends the answer and opens the connection. */
  #complete(attempt: Attempt): void {
    const { entry, connection, credentials, startedAt } = attempt
    if (entry.endAtOnce?.(connection!)) return this.#finish(attempt, 'ended')
    countCredential(attempt, 'accepted', this.#parts.metrics)
    this.#finish(attempt, 'accepted')
    const wire = entry.open(connection!, credentials.protocol)
    if (wire === undefined) {
      this.#parts.limits.give(attempt.address)
      this.#parts.bindings.leaveAll(connection!)
      return this.#fault(new Error('uWebSockets.js closed a socket during its upgrade'))
    }
    connection!.open(wire, clockMs(), attempt.rights, endOf(attempt.rights, this.#parts.options))
    this.#parts.opened(connection!)
    this.#parts.metrics.handshake.observe((performance.now() - startedAt) / 1000)
  }

  /**
   * Ends an attempt once. Without a socket it leaves its topics. It gives back its place in the
   * limits, unless a socket keeps it.
   */
  #finish(attempt: Attempt, result: string, keepsPlace = result === 'accepted'): void {
    if (attempt.over) return
    attempt.over = true
    if (result !== 'accepted' && !attempt.dismissed) attempt.giveBack?.()
    this.#pending.delete(attempt)
    this.#parts.metrics.connections.inc({ door: attempt.door.name, result })
    attempt.traced?.end(result, attempt.admission.subject)
    if (result !== 'accepted' && attempt.connection) this.#parts.bindings.leaveAll(attempt.connection)
    if (!keepsPlace) this.#parts.limits.give(attempt.address)
  }

  #refuse(attempt: Attempt, refusal: Refusal, why?: string): void {
    if (attempt.over) return
    const { door, address, entry, credentials } = attempt
    const now = performance.now()
    const close = closeInstead(door, refusal, credentials.protocol, this.#parts.limits, now)
    this.#finish(attempt, refusal.code, close !== undefined)
    this.#parts.limits.refused(address, refusal, now)
    this.#refusals.write(door, address, refusal, why, attempt.admission.subject)
    if (close === undefined) return entry.refuse(refusal)
    this.#closeAtOnce(door, address, close, entry.openRefused!(credentials.protocol))
  }

  /** Counts and logs a refusal without an attempt. */
  refused(
    door: LoggedDoor,
    address: string,
    refusal: Refusal,
    traced?: SpanHandle,
    subject?: string,
    why?: string,
  ): void {
    const { metrics } = this.#parts
    metrics.connections.inc({ door: door.name, result: refusal.code })
    if (refusal.code === 'connect-rate') metrics.rateLimited.connect++
    traced?.end(refusal.code)
    this.#refusals.write(door, address, refusal, why, subject)
  }

  /**
   * Completes the upgrade only to close the socket, which keeps its place in the limits until it is
   * gone and joins no topic.
   */
  #closeAtOnce(door: Door, address: string, close: Close, ws: Socket | undefined): void {
    if (ws === undefined) return this.#parts.limits.give(address)
    new Connection(door, '', address, clockMs()).refuse(ws, close)
  }

  #fault(error: unknown): void {
    this.#parts.metrics.error('internal')
    this.#parts.log.error({ err: asError(error) }, 'unexpected error during an upgrade')
  }
}
