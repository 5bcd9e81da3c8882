import { revokedSession, revokedSid } from '../contract/names.ts'
import { reasonOf } from '../platform/reason.ts'
import type { Revocation } from '../redis/revoked.ts'
import type { Logger } from '../telemetry/log.ts'
import { LineSampler } from '../telemetry/sampler.ts'
import type { Grant } from './ticket.ts'

export interface RevokedParts {
  readonly source: {
    /** @throws RedisUnavailable; RevokedUnusable. */
    since(version: number): Promise<Revocation[]>
  }
  /** Called when grants may be revoked that were not before. */
  readonly added: () => void
  readonly log: Logger
}

const READ_MS = 500
const SWEEP_MS = 60_000

/** What revokes the grants of a session: those that were admitted until this moment. */
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
  /** A `sid` has the bound Infinity. */
  readonly #bounds = new Map<string, Bound>()
  readonly #lines = new LineSampler()
  readonly #timers: readonly NodeJS.Timeout[]
  #version = 0
  #isRead = false
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
    this.#poll()
  }

  /** Resolves when the set was read at least once. @throws RedisUnavailable; RevokedUnusable. */
  async ready(): Promise<void> {
    if (!this.#isRead) await this.#read()
  }

  has({ sid, session, authTime }: Grant): boolean {
    return this.#bounds.has(revokedSid(sid)) || authTime <= (this.#bounds.get(revokedSession(session))?.before ?? 0)
  }

  #poll(): void {
    this.#read().catch((error: unknown) => {
      const skipped = this.#lines.take('unread')
      if (skipped !== undefined)
        this.#parts.log.warn(
          { event: 'revoked-unread', reason: reasonOf(error), skipped },
          'the revocations of resume tickets cannot be read from Redis',
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
    const fresh = await this.#parts.source.since(from)
    for (const each of fresh) this.#learn(each)
    // `restart` may have been called meanwhile: then the next read begins again.
    if (this.#version === from) this.#version = fresh.at(-1)?.version ?? from
    this.#isRead = true
    if (fresh.length > 0) this.#parts.added()
  }

  #learn({ entry, expiresAt }: Revocation): void {
    const [, session, before] = /^(session:.+):(\d+)$/.exec(entry) ?? []
    if (session === undefined) this.#bounds.set(entry, { before: Number.POSITIVE_INFINITY, expiresAt })
    else if (Number(before) > (this.#bounds.get(session)?.before ?? 0))
      this.#bounds.set(session, { before: Number(before), expiresAt })
  }

  #sweep(): void {
    const now = Date.now()
    for (const [key, { expiresAt }] of this.#bounds) if (expiresAt <= now) this.#bounds.delete(key)
  }
}
