import type { TokenClaims } from '../connection/auth.ts'
import { revokedSession, revokedSid, revokedSubject, revokedTokenId } from '../contract/names.ts'
import { reasonOf } from '../platform/reason.ts'
import type { Revocation } from '../redis/revoked.ts'
import type { Logger } from '../telemetry/log.ts'
import { LineSampler } from '../telemetry/sampler.ts'
import type { Grant } from './ticket.ts'

export interface RevokedParts {
  readonly source: {
    /** @throws RedisUnavailable; RevokedUnusable. */
    since(version: number): Promise<{ readonly now: number; readonly revocations: readonly Revocation[] }>
  }
  /** Called when something may be revoked that was not before. */
  readonly added: () => void
  readonly log: Logger
}

const READ_MS = 500
const SWEEP_MS = 60_000
/** The estimate of the clock follows a slower one by this much each time that it is read. */
const DRIFT_MS = 1
/** A difference of this much is a clock that was set, not an answer that came late. */
const STEP_MS = 1000

/** What revokes the grants of a session, or the JWTs of a `sub`: those until this moment. */
interface Bound {
  readonly before: number
  readonly expiresAt: number
}

/**
 * The revocations that this instance knows. It reads the whole set once, and then twice a second
 * what was added. After an outage of Redis it reads the whole set again: the server may be another
 * one.
 */
export class Revoked {
  readonly #parts: RevokedParts
  /** A `sid` and a `jti` have the bound Infinity. */
  readonly #bounds = new Map<string, Bound>()
  readonly #lines = new LineSampler()
  readonly #timers: readonly NodeJS.Timeout[]
  #version = 0
  /** What the clock of Redis has more than ours, at least. */
  #aheadMs = 0
  #isRead = false
  /** Before Redis was ready once, `redis-lost` has the reason, and a start needs no warning. */
  #hasRedis = false
  #readAt = performance.now()
  #reading: Promise<void> | undefined

  constructor(parts: RevokedParts) {
    this.#parts = parts
    this.#timers = [setInterval(() => this.#poll(), READ_MS), setInterval(() => this.#sweep(), SWEEP_MS)]
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer)
  }

  /** Redis is ready, perhaps another server: reads the whole set. */
  restart(): void {
    this.#version = 0
    this.#hasRedis = true
    this.#poll()
  }

  /** Whether the set was read at least once. */
  get isRead(): boolean {
    return this.#isRead
  }

  /** Resolves when the set was read at least once. @throws RedisUnavailable; RevokedUnusable. */
  async ready(): Promise<void> {
    if (!this.#isRead) await this.#read()
  }

  /** The sessions, sids, jtis and subs that are refused. */
  get entries(): number {
    return this.#bounds.size
  }

  /** Seconds since the set was read, or since the start. */
  get age(): number {
    return (performance.now() - this.#readAt) / 1000
  }

  /**
   * The time of Redis in ms since the epoch, late by at most the time that an answer takes: so
   * something that was done before a revocation never has a later time. All instances have this
   * clock, whatever their own ones say.
   */
  now(): number {
    return Date.now() + this.#aheadMs
  }

  /** Whether a grant or the JWT that it goes back to is revoked. */
  has(grant: Grant): boolean {
    const { sid, claims } = grant
    return this.#bounds.has(revokedSid(sid)) || this.ended(grant) || (claims !== undefined && this.hasJwt(claims))
  }

  /** Whether the session of a grant was disconnected after its admission. */
  ended({ session, authTime }: Grant): boolean {
    return authTime <= (this.#bounds.get(revokedSession(session))?.before ?? 0)
  }

  /** A JWT without `iat` counts as issued before. */
  hasJwt({ subject, tokenId, sid, issuedAt = 0 }: TokenClaims): boolean {
    const bounds = this.#bounds
    // Most of the time nothing is revoked.
    if (bounds.size === 0) return false
    if (tokenId !== undefined && bounds.has(revokedTokenId(tokenId))) return true
    if (sid !== undefined && bounds.has(revokedSid(sid))) return true
    const bound = subject === undefined ? undefined : bounds.get(revokedSubject(subject))
    return bound !== undefined && issuedAt * 1000 <= bound.before
  }

  #poll(): void {
    this.#read().catch((error: unknown) => {
      if (!this.#hasRedis) return
      const skipped = this.#lines.take('unread')
      if (skipped !== undefined)
        this.#parts.log.warn(
          { event: 'revoked-unread', reason: reasonOf(error), skipped },
          'the revocations of tokens and resume tickets cannot be read from Redis',
        )
    })
  }

  #read(): Promise<void> {
    this.#reading ??= this.#readOnce().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  async #readOnce(): Promise<void> {
    const from = this.#version
    const { now, revocations } = await this.#parts.source.since(from)
    this.#setClock(now - Date.now(), from === 0)
    for (const each of revocations) this.#learn(each)
    // `restart` may have been called meanwhile: then the next read begins again.
    if (this.#version === from) this.#version = revocations.at(-1)?.version ?? from
    this.#isRead = true
    this.#readAt = performance.now()
    if (revocations.length > 0) this.#parts.added()
  }

  /** An answer that came late shows less than the difference, so the largest one is the best. */
  #setClock(aheadMs: number, isNew: boolean): void {
    const isStep = isNew || aheadMs < this.#aheadMs - STEP_MS
    this.#aheadMs = isStep ? aheadMs : Math.max(aheadMs, this.#aheadMs - DRIFT_MS)
  }

  /** Takes an entry before it comes from Redis. */
  learn(entry: string, lifeMs: number): void {
    this.#learn({ entry, expiresAt: this.now() + lifeMs })
  }

  #learn({ entry, expiresAt }: Pick<Revocation, 'entry' | 'expiresAt'>): void {
    const [, name = entry, before = 'Infinity'] = /^((?:session|sub):.+):(\d+)$/s.exec(entry) ?? []
    const known = this.#bounds.get(name)
    this.#bounds.set(name, {
      before: Math.max(Number(before), known?.before ?? 0),
      expiresAt: Math.max(expiresAt, known?.expiresAt ?? 0),
    })
  }

  #sweep(): void {
    const now = this.now()
    for (const [key, { expiresAt }] of this.#bounds) if (expiresAt <= now) this.#bounds.delete(key)
  }
}
