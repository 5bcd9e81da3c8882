import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

/** Longer than a device text that this gateway has made. */
const MAX_LENGTH = 100

/**
 * Devices from which a user has logged in (OWASP, "Slow Down Online Guessing Attacks with Device
 * Cookies"). Wrong passwords of a known device are counted apart, so guesses from elsewhere do not
 * keep it out. Nothing is stored: the text of a device is signed, for one account.
 */
export class Devices {
  readonly #keys: readonly Buffer[]

  /** @param keys the first one signs, each verifies. */
  constructor(keys: readonly Buffer[]) {
    this.#keys = keys
  }

  /** Returns the text of a new device of this account. */
  issue(email: string): string {
    const id = randomBytes(16).toString('base64url')
    return `${id}.${this.#macOf(this.#keys[0]!, id, email).toString('base64url')}`
  }

  /** Returns the id of the device; undefined when the text is not one of this account. */
  idOf(text: string | undefined, email: string): string | undefined {
    if (text === undefined || text.length > MAX_LENGTH) return undefined
    const [id = '', mac = ''] = text.split('.')
    const given = Buffer.from(mac, 'base64url')
    const isRight = this.#keys.some((key) => {
      const expected = this.#macOf(key, id, email)
      return given.length === expected.length && timingSafeEqual(given, expected)
    })
    return isRight ? id : undefined
  }

  #macOf(key: Buffer, id: string, email: string): Buffer {
    return createHmac('sha256', key).update(`${id} ${email}`).digest()
  }
}
