import { createHmac, randomBytes, scryptSync, timingSafeEqual } from 'node:crypto'
import type { Config } from '../../config/table.ts'
import { isInstance } from '../../contract/names.ts'

/** The clocks of two instances, and the way through Redis, may differ by this much. */
const WINDOW_MS = 30_000
/** Messages of one window whose nonce is kept. Beyond it, further messages are refused. */
const MAX_NONCES = 10_000
const NONCE_BYTES = 12
const MAC_BYTES = 32
const KEY_BYTES = 32
const SALT = 'wsproxy bus'

/** A message whose signature, time and nonce are right. */
export interface Opened {
  readonly kind: 'opened'
  /** The instance that has signed it. */
  readonly from: string
  readonly nonce: string
  /** What the instance said; its shape is not checked yet. */
  readonly body: unknown
}

/** Why a message is not used. */
export interface Rejected {
  readonly kind: 'rejected'
  readonly why: 'not signed' | 'wrong signature' | 'too old or too new' | 'replayed' | 'too many'
}

/**
 * Returns the keys of the bus: those of `FLEET_SECRET`, else one made of `ADMIN_TOKEN`. The first
 * one signs, each of them verifies. None: this instance neither sends nor executes orders.
 */
export function busKeys({ fleetSecret, adminToken }: Pick<Config, 'fleetSecret' | 'adminToken'>): readonly Buffer[] {
  const secrets = (fleetSecret ?? '').split(/\s+/).filter((each) => each !== '')
  if (secrets.length > 0) return secrets.map((each) => Buffer.from(each))
  // Slow on purpose: a program that reads the bus could otherwise guess a weak token offline.
  return adminToken === undefined ? [] : [scryptSync(adminToken, SALT, KEY_BYTES)]
}

/**
 * Signs the messages of the bus and verifies them. A message is `<mac>.<JSON>`: the mac covers the
 * channel, so that a message of one channel, or of another environment, is worth nothing on this.
 */
export class BusSignature {
  readonly #keys: readonly Buffer[]
  readonly #instance: string
  readonly #now: () => number
  /** Nonce to the time (ms since the epoch) from which the window refuses it anyway. */
  readonly #seen = new Map<string, number>()

  constructor(keys: readonly Buffer[], instance: string, now: () => number = Date.now) {
    this.#keys = keys
    this.#instance = instance
    this.#now = now
  }

  /** Whether this instance has a key. */
  get enabled(): boolean {
    return this.#keys.length > 0
  }

  /** Returns the text of a message for `channel`, and its nonce. @throws without a key. */
  sign(channel: string, body: object): { readonly text: string; readonly nonce: string } {
    const [key] = this.#keys
    if (key === undefined) throw new Error('orders between instances are off: set FLEET_SECRET or ADMIN_TOKEN')
    const nonce = randomBytes(NONCE_BYTES).toString('hex')
    const json = JSON.stringify({ at: this.#now(), nonce, from: this.#instance, body })
    return { text: `${macOf(key, channel, json).toString('hex')}.${json}`, nonce }
  }

  /** Verifies a message that came on `channel`. Nothing of it is parsed before its mac is right. */
  open(channel: string, message: Buffer): Opened | Rejected {
    const head = message.toString('latin1', 0, 2 * MAC_BYTES + 1)
    if (!/^[0-9a-f]{64}\.$/.test(head)) return reject('not signed')
    const given = Buffer.from(head.slice(0, -1), 'hex')
    const json = message.subarray(head.length)
    if (!this.#keys.some((key) => timingSafeEqual(macOf(key, channel, json), given))) return reject('wrong signature')
    const { at, nonce, from, body } = JSON.parse(json.toString('utf8')) as Record<string, unknown>
    if (typeof at !== 'number' || typeof nonce !== 'string' || typeof from !== 'string' || !isInstance(from))
      return reject('not signed')
    return this.#fresh(at, `${channel} ${nonce}`) ?? { kind: 'opened', from, nonce, body }
  }

  #fresh(at: number, id: string): Rejected | undefined {
    const now = this.#now()
    if (Math.abs(now - at) > WINDOW_MS) return reject('too old or too new')
    // The Map keeps the order of arrival, which is close to the order of the times.
    for (const [each, until] of this.#seen) {
      if (until >= now) break
      this.#seen.delete(each)
    }
    if (this.#seen.has(id)) return reject('replayed')
    if (this.#seen.size >= MAX_NONCES) return reject('too many')
    // A message of a clock that is ahead stays valid for up to two windows.
    this.#seen.set(id, now + 2 * WINDOW_MS)
    return undefined
  }
}

const reject = (why: Rejected['why']): Rejected => ({ kind: 'rejected', why })

const macOf = (key: Buffer, channel: string, json: string | Buffer): Buffer =>
  createHmac('sha256', key).update(channel).update('\n').update(json).digest()
