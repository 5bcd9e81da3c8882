import type { EventBuffer } from '../connection/event-buffer.ts'
import { addEvent } from '../connection/events.ts'

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
  /** The field `id`, up to the number of a message. '': its messages have no numbers. */
  #id = ''
  #isFirst = true

  /** @param isBinary the payload is not UTF-8: it goes out in base64, as an event `binary`. */
  readonly encode = (frame: Buffer, isBinary: boolean, out: EventBuffer): void => {
    if (frame[0] === BRACE) return this.#control(frame, out)
    const space = frame.indexOf(SPACE)
    const id = frame[0] === DASH ? '' : this.#idOf(frame.toString('latin1', 0, space))
    if (!isBinary) return addEvent(out, id, frame, space + 1)
    out.latin1(`${id}event: binary\ndata: ${frame.toString('base64', space + 1)}\n\n`)
  }

  #idOf(offset: string): string {
    return this.#id === '' ? '' : `${this.#id}${offset}\n`
  }

  #control(frame: Buffer, out: EventBuffer): void {
    const text = frame.toString('utf8')
    if (!text.startsWith(CONTROL)) return addEvent(out, '', frame)
    const end = text.indexOf('"', CONTROL.length)
    const command = text.slice(CONTROL.length, end)
    const data = `{${text.slice(text[end + 1] === ',' ? end + 2 : end + 1)}`
    out.add(Buffer.from(`${this.#fields(command, data)}event: ${command}\ndata: ${data}\n\n`))
  }

  /** The fields before the name of an event of the gateway. */
  #fields(command: string, data: string): string {
    if (command === 'position') return this.#position(data)
    if (command === 'goodbye') return `retry: ${RECONNECT.exec(data)?.[1] ?? RETRY_MS}\n`
    const to = command === 'gap' ? GAP.exec(data)?.[1] : undefined
    return to === undefined ? '' : this.#idOf(to)
  }

  /**
   * It is the first event, and carries where the client stands: one that loses its connection
   * before the first message resumes from here. An event of its own, without data, would reach the
   * message handler of a page.
   */
  #position(data: string): string {
    const [, epoch = '', offset = ''] = POSITION.exec(data) ?? []
    this.#id = epoch === '' ? '' : `id: ${epoch}.`
    const retry = this.#isFirst ? `retry: ${Math.round(RETRY_MS * (1 + Math.random()))}\n` : ''
    this.#isFirst = false
    return retry + this.#idOf(offset)
  }
}
