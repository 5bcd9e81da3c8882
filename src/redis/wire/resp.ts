import { Chunk } from './chunk.ts'
import { MAX_LENGTH, RespScanner } from './scan.ts'
import { BULK, byte, CR, INCOMPLETE, type Latin1, LF, NINE, type Reply, ValueReader, ZERO } from './values.ts'

/**
 * Called for each published message. `wanted` is the subscribed channel or pattern, `channel` the
 * one that the message was published on. Names are ASCII, because they are made of ids. `payload`
 * is a view of `chunk`, valid during the call or for as long as the chunk is held.
 */
export type OnMessage = (wanted: string, payload: Buffer, channel: string, chunk: Chunk) => void

/** Called at once and in the order of the stream. Buffers are views, valid during the call. */
export interface RespHandlers {
  readonly message: OnMessage
  /** Any other push, with its first value as text: a channel behind `subscribe`. */
  push(kind: string, first: string): void
  reply(value: Reply): void
}

const PUSH = byte('>')
const ARRAY = byte('*')
/** How a push begins in RESP2. */
const ARRAY_PUSH = /^\*[34]\r\n\$\d+\r\n([ps]?message|[ps]?(un)?subscribe)\r/
const ARRAY_PUSH_BYTES = 32
const COLON = byte(':')
const [THREE, SEVEN, LETTER_M] = [byte('3'), byte('7'), byte('m')]
/** The beginning of the confirmation of a SUBSCRIBE, without its first byte. */
const SUBSCRIBED = Buffer.from('3\r\n$9\r\nsubscribe\r\n$')
/**
 * Bytes before the length of the channel name: `>3`, `$7`, `message`, each with its CRLF, and `$`.
 */
const MESSAGE_HEADER = 18

/**
 * Reads RESP3 from chunks, wherever they are cut. Messages of subscribed channels take a fast path:
 * it looks at each byte once and makes only a view of the payload and the name of the channel.
 * RESP3: https://redis.io/docs/latest/develop/reference/protocol-spec/
 */
export class RespReader extends ValueReader {
  readonly #handlers: RespHandlers
  readonly #arrays: boolean
  /** Looks for the end of an incomplete value. */
  #scanner: RespScanner | undefined
  #chunk = new Chunk(this.data)

  /** @param arrays a plain array that looks like a push is one. */
  constructor(handlers: RespHandlers, arrays = false) {
    super()
    this.#handlers = handlers
    this.#arrays = arrays
  }

  /** Bytes that are still to come of an incomplete value, at the least. */
  get missing(): number {
    return this.#scanner?.missing ?? 0
  }

  /**
   * Reads the values in a chunk. Returns how many bytes they have: the next chunk begins with the
   * bytes behind them.
   * @throws when it is not RESP: nothing more can be read from this connection.
   */
  read(chunk: Chunk): number {
    const data = chunk.bytes
    if (this.#scanner !== undefined) {
      if (data.length > MAX_LENGTH) throw new Error('RESP: a value is larger than 1 GB')
      if (!this.#scanner.scan(data)) return 0
      this.#scanner = undefined
    }
    this.data = data as Buffer & Latin1
    this.#chunk = chunk
    this.at = 0
    while (this.at < data.length) {
      const start = this.at
      try {
        this.#next()
      } catch (error) {
        if (error !== INCOMPLETE) throw error
        this.#scanner = new RespScanner()
        this.#scanner.scan(data.subarray(start))
        return start
      }
    }
    return data.length
  }

  #next(): void {
    if (this.data[this.at] === COLON && this.#smallNumber()) return
    if (this.data[this.at] !== PUSH && !(this.#arrays && this.#isArrayPush()))
      return this.#handlers.reply(this.value(0))
    if (this.#isMessage() && this.#message()) return
    if (this.#isSubscribed() && this.#subscribed()) return
    this.at++
    const length = this.length(1)
    const kind = String(this.value(1))
    if (kind === 'message' || kind === 'smessage') {
      const channel = this.#name()
      const payload = this.bulk()
      return this.#handlers.message(channel, payload, channel, this.#chunk)
    }
    if (kind === 'pmessage') {
      const pattern = this.#name()
      const channel = this.#name()
      const payload = this.bulk()
      return this.#handlers.message(pattern, payload, channel, this.#chunk)
    }
    const first = length > 1 ? String(this.value(1)) : ''
    for (let i = 2; i < length; i++) this.value(1)
    this.#handlers.push(kind, first)
  }

  /**
   * The reply to PUBLISH and to most writes: a number of one digit. Returns false as `#message`
   * does.
   */
  #smallNumber(): boolean {
    const { data, at } = this
    const number = data[at + 1]! - ZERO
    if (!(at + 4 <= data.length && data[at + 2] === CR && data[at + 3] === LF && number >= 0 && number <= 9))
      return false
    this.at = at + 4
    this.#handlers.reply(number)
    return true
  }

  /** The next value is a plain array with the members of a push. */
  #isArrayPush(): boolean {
    const data = this.data
    const at = this.at
    if (data[at] !== ARRAY) return false
    // latin1Slice throws when its end lies beyond the chunk, as it does after a short reply.
    return ARRAY_PUSH.test(data.latin1Slice(at, Math.min(at + ARRAY_PUSH_BYTES, data.length)))
  }

  /**
   * The next value is a message of a plain channel: `>3`, then `message` as a string of 7. No other
   * push begins so.
   */
  #isMessage(): boolean {
    const data = this.data
    const at = this.at
    return data[at + 1] === THREE && data[at + 5] === SEVEN && data[at + 8] === LETTER_M
  }

  /**
   * The fast path. Returns false, and reads nothing, when the message is incomplete or not what was
   * expected.
   */
  #message(): boolean {
    const data = this.data
    const name = this.#digits(this.at + MESSAGE_HEADER)
    const nameAt = this.#digitsEnd
    const payload = this.#digits(nameAt + name + 3)
    const from = this.#digitsEnd
    const end = from + payload
    if (!(end + 2 <= data.length) || data[nameAt + name + 2] !== BULK || data[end] !== CR) return false
    const channel = data.latin1Slice(nameAt, nameAt + name)
    this.at = end + 2
    this.#handlers.message(channel, data.subarray(from, end), channel, this.#chunk)
    return true
  }

  /** The next value confirms a SUBSCRIBE of one channel. */
  #isSubscribed(): boolean {
    const data = this.data
    const at = this.at + 1
    if (at + SUBSCRIBED.length > data.length) return false
    for (let i = SUBSCRIBED.length - 1; i >= 0; i--) if (data[at + i] !== SUBSCRIBED[i]) return false
    return true
  }

  /**
   * The fast path of a confirmation, of which Redis sends one for every socket after an outage.
   * Returns false as `#message` does.
   */
  #subscribed(): boolean {
    const data = this.data
    const name = this.#digits(this.at + 1 + SUBSCRIBED.length)
    const nameAt = this.#digitsEnd
    const countAt = nameAt + name + 2
    if (!(countAt + 3 <= data.length) || data[countAt] !== COLON) return false
    this.#digits(countAt + 1)
    const end = this.#digitsEnd
    if (!(end <= data.length) || data[end - 2] !== CR || data[end - 1] !== LF) return false
    const channel = data.latin1Slice(nameAt, nameAt + name)
    this.at = end
    this.#handlers.push('subscribe', channel)
    return true
  }

  #digitsEnd = 0

  /** Returns the number at `at`, and sets `#digitsEnd` to the start of the next line. */
  #digits(at: number): number {
    const data = this.data
    let number = 0
    let digit = data[at]!
    while (digit >= ZERO && digit <= NINE) {
      number = number * 10 + digit - ZERO
      digit = data[++at]!
    }
    this.#digitsEnd = at + 2
    return number
  }

  #name(): string {
    const bytes = this.bulk()
    return bytes.toString('latin1')
  }
}
