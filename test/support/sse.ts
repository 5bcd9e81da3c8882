import { type ClientRequest, get, type IncomingMessage } from 'node:http'
import { eventually } from './wait.ts'

/** A server-sent event as its parser gives it (HTML standard, section 9.2.6). */
export interface StreamEvent {
  /** The last event ID when it came. */
  readonly id: string
  readonly event: string
  readonly data: string
}

/** A client of a stream that keeps all it gets. */
export class StreamClient {
  readonly events: StreamEvent[] = []
  comments = 0
  id = ''
  retryMs: number | undefined
  isEnded = false
  readonly #request: ClientRequest
  readonly response: IncomingMessage
  #rest = ''
  #fields: { event: string; data: string[] } = { event: 'message', data: [] }

  constructor(request: ClientRequest, response: IncomingMessage) {
    this.#request = request
    this.response = response
    response.setEncoding('utf8')
    response.on('data', (text: string) => this.#read(text))
    response.on('close', () => {
      this.isEnded = true
    })
    response.on('error', () => {})
    request.on('error', () => {})
  }

  get status(): number {
    return this.response.statusCode ?? 0
  }

  /** Events of this name. */
  of(event: string): StreamEvent[] {
    return this.events.filter((each) => each.event === event)
  }

  /** What the server said before it ended the stream. */
  get goodbye(): Record<string, unknown> | undefined {
    const event = this.of('goodbye')[0] ?? this.of('disconnect_notice')[0]
    return event && JSON.parse(event.data)
  }

  /** Payloads of messages. */
  get messages(): string[] {
    return this.of('message').map(({ data }) => data)
  }

  /** The data of the first event of this name, parsed. */
  async first(event: string): Promise<Record<string, unknown>> {
    await eventually(() => this.of(event).length > 0, `an event ${event}`)
    return JSON.parse(this.of(event)[0]!.data)
  }

  async take(count: number): Promise<string[]> {
    await eventually(() => this.messages.length >= count, `${count} messages`)
    return this.messages.slice(0, count)
  }

  async ended(): Promise<void> {
    await eventually(() => this.isEnded, 'the end of the stream')
  }

  pause(): void {
    this.response.socket.pause()
  }

  resume(): void {
    this.response.socket.resume()
  }

  close(): void {
    this.#request.destroy()
  }

  #read(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop()!
    for (const line of lines) this.#line(line)
  }

  #line(line: string): void {
    if (line === '') return this.#dispatch()
    if (line.startsWith(':')) return void this.comments++
    const colon = line.indexOf(':')
    const name = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (name === 'id') this.id = value
    else if (name === 'event') this.#fields.event = value
    else if (name === 'data') this.#fields.data.push(value)
    else if (name === 'retry') this.retryMs = Number(value)
  }

  #dispatch(): void {
    const { event, data } = this.#fields
    this.#fields = { event: 'message', data: [] }
    if (data.length > 0) this.events.push({ id: this.id, event, data: data.join('\n') })
  }
}

/** Opens a stream. Resolves with the answer, whatever its status is. */
export function openStream(url: string, headers: Record<string, string> = {}): Promise<StreamClient> {
  return new Promise((resolve, reject) => {
    const request = get(url, { headers, agent: false })
    request.once('error', reject)
    request.once('response', (response) => resolve(new StreamClient(request, response)))
  })
}
