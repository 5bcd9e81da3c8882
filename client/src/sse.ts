/** A stand-in for a WebSocket to a session, over server-sent events and POST. */
import type { Socket } from './platform.ts'

/** The part of `fetch` that is used here. */
interface Answer {
  readonly ok: boolean
  readonly status: number
  readonly headers: { get(name: string): string | null }
  readonly body: { getReader(): { read(): Promise<{ done: boolean; value?: Uint8Array }> } } | null
  json(): Promise<{ receivers?: number; ticket?: string; error?: { code?: string } }>
}
declare const fetch: (url: string, init: object) => Promise<Answer>

/** Close codes for statuses of HTTP, as the gateway has them. Any other refusal is a bug: 4400. */
const CLOSES: Readonly<Record<number, number>> = { 401: 4401, 403: 4403, 429: 4429, 500: 1011, 503: 4503, 504: 4503 }
const LOST = 1006
const NEW_TOKEN = 4401
/** Reasons of a goodbye after which another token may help. */
const CREDENTIALS = ['expired', 'revoked', 'not-authorised', 'key-removed']
const PONG = '{"type":"pong"}'

interface Goodbye {
  readonly reason: string
  readonly reconnect_after_ms?: number
}

function fromBase64url(text: string): string {
  const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'))
  return new TextDecoder().decode(Uint8Array.from(binary, (character) => character.charCodeAt(0)))
}

/** Reads a session at the address and with the protocols of a WebSocket, frame for frame. */
export class EventSocket implements Socket {
  binaryType = ''
  onopen: Socket['onopen'] = null
  onmessage: Socket['onmessage'] = null
  onclose: Socket['onclose'] = null
  onerror: Socket['onerror'] = null
  readonly #url: string
  #token: string | undefined
  readonly #stop = new AbortController()
  #goodbye: Goodbye | undefined
  #sending: Promise<unknown> = Promise.resolve()
  #isClosed = false

  constructor(url: string, protocols: string[]) {
    this.#url = url.replace(/^ws/, 'http').replace(/\/ws\/(?=[^/]*$)/, '/sse/')
    const bearer = protocols.find((name) => name.startsWith('bearer.'))
    this.#token = bearer && fromBase64url(bearer.slice(7))
    this.#open().catch(() => this.#close(LOST, 'the stream was lost'))
  }

  /** Publishes a numbered frame, and gives its ack. Pings are not sent: comments come anyway. */
  send(text: string): void {
    const space = text.indexOf(' ')
    const n = Number(text.slice(0, space))
    if (!(n > 0)) return
    this.#sending = this.#sending.then(async () => {
      const outcome = await this.#post(text.slice(space + 1)).catch(() => ({ error: 'upstream-uncertain' }))
      this.#frame({ type: 'control', command: 'ack', n, ...outcome })
    })
  }

  close(): void {
    this.#isClosed = true
    this.#stop.abort()
  }

  #fetch(url: string, init: object): Promise<Answer> {
    const headers = this.#token === undefined ? {} : { Authorization: `Bearer ${this.#token}` }
    // Without a token the cookie of the stream is the credential.
    const credentials = this.#token === undefined ? 'include' : 'same-origin'
    return fetch(url, { signal: this.#stop.signal, credentials, cache: 'no-store', ...init, headers })
  }

  async #post(body: string): Promise<object> {
    const response = await this.#fetch(this.#url.replace(/\?.*/, ''), { method: 'POST', body })
    const { receivers, error } = await response.json()
    return response.status === 202 ? { receivers } : { error: error?.code ?? `http-${response.status}` }
  }

  async #open(): Promise<void> {
    let response = await this.#fetch(this.#url, {})
    let code = await codeOf(response)
    if (code === 'token-single-use') {
      response = await this.#exchange()
      code = await codeOf(response)
    }
    if (response.status !== 200) return this.#refused(response, code)
    if (this.#isClosed) return
    this.onopen?.({})
    await this.#read(response)
    const { reason = 'the stream ended', reconnect_after_ms: ms } = this.#goodbye ?? {}
    if (!this.#goodbye) return this.#close(LOST, reason)
    if (ms !== undefined) return this.#close(1001, reason)
    this.#close(reason === 'stream-ended' ? 1000 : CREDENTIALS.includes(reason) ? NEW_TOKEN : 4403, reason)
  }

  /** Spends the token for a ticket that reads. The cookie that comes with it may also publish. */
  async #exchange(): Promise<Answer> {
    const ticketUrl = this.#url.replace(/\?.*/, '').replace(/\/sse\/(?=[^/]*$)/, '/ticket/')
    const exchanged = await this.#fetch(ticketUrl, { method: 'POST', credentials: 'include' })
    if (!exchanged.ok) return exchanged
    const { ticket = '' } = await exchanged.json()
    this.#token = undefined
    const separator = this.#url.includes('?') ? '&' : '?'
    return this.#fetch(`${this.#url}${separator}ticket=${encodeURIComponent(ticket)}`, {})
  }

  #refused({ status, headers }: Answer, code: string | undefined): void {
    if (status === 204) return this.#close(1000, 'stream ended')
    const seconds = Number(headers.get('Retry-After'))
    const retry = seconds > 0 ? ` retry=${seconds * 1000}` : ''
    // A gateway without streams says 404, and a proxy may say anything: a WebSocket is next.
    if (code === undefined || status === 404) return this.#close(LOST, `http-${status}${retry}`)
    const isToken = code === 'token-rejected' || code === 'token-single-use'
    this.#close(isToken ? NEW_TOKEN : (CLOSES[status] ?? 4400), code + retry)
  }

  #close(code: number, reason: string): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#stop.abort()
    this.onclose?.({ code, reason })
  }

  async #read({ body }: Answer): Promise<void> {
    const reader = body!.getReader()
    const decoder = new TextDecoder()
    let rest = ''
    let fields = new Map<string, string>()
    for (;;) {
      const { done, value } = await reader.read()
      if (done || this.#isClosed) return
      const lines = (rest + decoder.decode(value, { stream: true })).split('\n')
      rest = lines.pop()!
      for (const line of lines) {
        if (line === '') {
          this.#event(fields)
          fields = new Map()
        } else this.#field(fields, line.replace(/\r$/, ''))
      }
    }
  }

  #field(fields: Map<string, string>, line: string): void {
    const [, name = '', value = ''] = /^([^:]*):? ?(.*)$/.exec(line) ?? []
    // A comment says that the connection lives.
    if (name === '') return void this.onmessage?.({ data: PONG })
    const former = name === 'data' ? fields.get(name) : undefined
    fields.set(name, former === undefined ? value : `${former}\n${value}`)
  }

  #event(fields: ReadonlyMap<string, string>): void {
    const data = fields.get('data')
    if (data === undefined || this.#isClosed) return
    const name = fields.get('event')
    const offset = fields.get('id')?.split('.')[1] ?? '-'
    if (name === undefined) this.onmessage?.({ data: `${offset} ${data}` })
    else if (name === 'binary') this.onmessage?.({ data: bytesOf(offset, data) })
    else if (name === 'ping') this.onmessage?.({ data: PONG })
    // It reads streams only, and the next dial may be that of a WebSocket.
    else if (name !== 'ticket') this.#command(name, JSON.parse(data))
  }

  #command(command: string, fields: object): void {
    if (command === 'goodbye') this.#goodbye = fields as Goodbye
    this.#frame({ type: 'control', command, ...fields })
  }

  #frame(frame: object): void {
    if (!this.#isClosed) this.onmessage?.({ data: JSON.stringify(frame) })
  }
}

/** The code of a refusal; undefined for any other answer. */
const codeOf = async (response: Answer): Promise<string | undefined> => {
  if (response.ok) return undefined
  try {
    return (await response.json()).error?.code
  } catch {
    return undefined
  }
}

/** A numbered frame of bytes. */
const bytesOf = (offset: string, base64: string): ArrayBuffer =>
  Uint8Array.from(`${offset} ${atob(base64)}`, (character) => character.charCodeAt(0)).buffer
