import { eventOf } from '../connection/events.ts'

/**
 * The frames of `wsproxy.v2` as server-sent events: `id:` is the cursor of a numbered message, and
 * a frame of the gateway is an event with the name of its command.
 */

const SPACE = 0x20
const BRACE = 0x7b
const DASH = 0x2d

const CONTROL = '{"type":"control","command":"'
const POSITION = /"epoch":"([0-9a-z]+)","offset":(\d+)/
const GAP = /"to":(\d+),/
const RECONNECT = /"reconnect_after_ms":(\d+)/

/** A client that has lost its connection comes back after this time to twice this time. */
const RETRY_MS = 1000

/** Makes the events of one stream. */
export class SessionEvents {
  /** '': its messages have no numbers. */
  #epoch = ''
  #isFirst = true

  /** @param isBinary the payload is not UTF-8: it goes out in base64, as an event `binary`. */
  readonly encode = (frame: Buffer, isBinary: boolean): Buffer => {
    if (frame[0] === BRACE) return this.#control(frame.toString('utf8'))
    const space = frame.indexOf(SPACE)
    const payload = frame.subarray(space + 1)
    const id = frame[0] === DASH ? '' : this.#id(frame.toString('latin1', 0, space))
    if (isBinary) return Buffer.from(`${id}event: binary\ndata: ${payload.toString('base64')}\n\n`)
    return eventOf(id, payload)
  }

  #id(offset: string): string {
    return this.#epoch === '' ? '' : `id: ${this.#epoch}.${offset}\n`
  }

  #control(text: string): Buffer {
    if (!text.startsWith(CONTROL)) return eventOf('', Buffer.from(text))
    const end = text.indexOf('"', CONTROL.length)
    const command = text.slice(CONTROL.length, end)
    const data = `{${text.slice(text[end + 1] === ',' ? end + 2 : end + 1)}`
    return Buffer.from(`${this.#fields(command, data)}event: ${command}\ndata: ${data}\n\n`)
  }

  /** The fields before the name of an event of the gateway. */
  #fields(command: string, data: string): string {
    if (command === 'position') return this.#position(data)
    if (command === 'goodbye') return `retry: ${RECONNECT.exec(data)?.[1] ?? RETRY_MS}\n`
    const to = command === 'gap' ? GAP.exec(data)?.[1] : undefined
    return to === undefined ? '' : this.#id(to)
  }

  /**
   * It is the first event, and carries where the client stands: one that loses its connection
   * before the first message resumes from here. An event of its own, without data, would reach the
   * message handler of a page.
   */
  #position(data: string): string {
    const [, epoch = '', offset = ''] = POSITION.exec(data) ?? []
    this.#epoch = epoch
    const retry = this.#isFirst ? `retry: ${Math.round(RETRY_MS * (1 + Math.random()))}\n` : ''
    this.#isFirst = false
    return retry + this.#id(offset)
  }
}
