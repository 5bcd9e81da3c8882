/** Stand-ins for WebSockets to a session and to the live door, over server-sent events and POST. */
import type { Envelope } from './live.gen.ts'
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

/** A stream of events at the address and with the protocols of a WebSocket, frame for frame. */
abstract class EventSocket implements Socket {
  binaryType = ''
  onopen: Socket['onopen'] = null
  onmessage: Socket['onmessage'] = null
  onclose: Socket['onclose'] = null
  onerror: Socket['onerror'] = null
  protected readonly url: string
  protected token: string | undefined
  protected goodbye: Goodbye | undefined
  readonly #stop = new AbortController()
  #sending: Promise<unknown> = Promise.resolve()
  #isClosed = false

  constructor(url: string, protocols: string[]) {
    this.url = this.addressOf(url.replace(/^ws/, 'http'))
    // Where the platform lacks what this needs, the promise rejects, and a WebSocket is next.
    this.#open(protocols).catch(() => this.lose('no stream'))
  }

  /** The address of the stream for that of a socket. */
  protected abstract addressOf(url: string): string
  protected abstract event(name: string | undefined, data: string, id: string | undefined): void
  abstract send(text: string): void

  /** Another credential, after the refusal with this code. */
  protected async retry(_code: string | undefined): Promise<Answer | undefined> {
    return undefined
  }

  /** Runs `act` behind all before it. */
  protected inOrder(act: () => Promise<void>): void {
    this.#sending = this.#sending.then(act)
  }

  close(): void {
    this.#isClosed = true
    this.#stop.abort()
  }

  protected fetch(url: string, init: object, token = this.token): Promise<Answer> {
    const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` }
    // Without a token a cookie is the credential.
    const credentials = token === undefined ? 'include' : 'same-origin'
    return fetch(url, { signal: this.#stop.signal, credentials, cache: 'no-store', ...init, headers })
  }

  async #open(protocols: readonly string[]): Promise<void> {
    const bearer = protocols.find((name) => name.startsWith('bearer.'))
    this.token = bearer && fromBase64url(bearer.slice(7))
    let response = await this.fetch(this.url, {})
    let code = await codeOf(response)
    const other = await this.retry(code)
    if (other) {
      response = other
      code = await codeOf(response)
    }
    if (response.status !== 200) return this.#refused(response, code)
    // React Native reads whole answers only: this network has no stream for it.
    if (!response.body) return this.lose('no stream')
    if (this.#isClosed) return
    this.onopen?.({})
    // A connection that is cut behind its goodbye is no failure.
    await this.#read(response).catch(() => {})
    if (!this.goodbye) return this.lose('the stream was lost')
    const { reason, reconnect_after_ms: ms } = this.goodbye
    if (ms !== undefined) return this.#close(1001, reason)
    this.#close(reason === 'stream-ended' ? 1000 : CREDENTIALS.includes(reason) ? NEW_TOKEN : 4403, reason)
  }

  #refused({ status, headers }: Answer, code: string | undefined): void {
    if (status === 204) return this.#close(1000, 'stream ended')
    const seconds = Number(headers.get('Retry-After'))
    const retry = seconds > 0 ? ` retry=${seconds * 1000}` : ''
    // A gateway without streams says 404, and a proxy may say anything: a WebSocket is next.
    if (code === undefined || status === 404) return this.lose(`http-${status}${retry}`)
    const isToken = code === 'token-rejected' || code === 'token-single-use'
    this.#close(isToken ? NEW_TOKEN : (CLOSES[status] ?? 4400), code + retry)
  }

  protected lose(reason: string): void {
    this.#close(LOST, reason)
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
      for (const each of lines) {
        // A proxy may end lines in its own way.
        const line = each.replace(/\r$/, '')
        if (line === '') {
          this.#event(fields)
          fields = new Map()
        } else this.#field(fields, line)
      }
    }
  }

  #field(fields: Map<string, string>, line: string): void {
    // Without `s` a U+2028, which JSON allows in a string, would make a comment of the line.
    const [, name = '', value = ''] = /^([^:]*):? ?(.*)$/s.exec(line) ?? []
    // A comment says that the connection lives.
    if (name === '') return this.frame(PONG)
    const former = name === 'data' ? fields.get(name) : undefined
    fields.set(name, former === undefined ? value : `${former}\n${value}`)
  }

  #event(fields: ReadonlyMap<string, string>): void {
    const data = fields.get('data')
    const name = fields.get('event')
    if (name === 'ping') this.frame(PONG)
    else if (data !== undefined && !this.#isClosed) this.event(name, data, fields.get('id'))
  }

  protected frame(data: string | ArrayBuffer): void {
    if (!this.#isClosed) this.onmessage?.({ data })
  }
}

/** Reads a session, and publishes by POST. */
export class SessionEvents extends EventSocket {
  protected addressOf(url: string): string {
    return url.replace(/\/ws\/(?=[^/]*$)/, '/sse/')
  }

  /** Publishes a numbered frame, and gives its ack. Pings are not sent: comments come anyway. */
  send(text: string): void {
    const space = text.indexOf(' ')
    const n = Number(text.slice(0, space))
    if (!(n > 0)) return
    this.inOrder(async () => {
      const outcome = await this.#post(text.slice(space + 1)).catch(() => ({ error: 'upstream-uncertain' }))
      this.#control('ack', { n, ...outcome })
    })
  }

  async #post(body: string): Promise<object> {
    const response = await this.fetch(this.url.replace(/\?.*/, ''), { method: 'POST', body })
    // A proxy has a limit of its own, and answers with words of its own.
    if (response.status === 413) return { error: 'message-too-large' }
    const { receivers, error } = await response.json()
    return response.status === 202 ? { receivers } : { error: error?.code ?? `http-${response.status}` }
  }

  /** Spends the token for a ticket that reads. The cookie that comes with it may also publish. */
  protected override async retry(code: string | undefined): Promise<Answer | undefined> {
    if (code !== 'token-single-use') return undefined
    const ticketUrl = this.url.replace(/\?.*/, '').replace(/\/sse\/(?=[^/]*$)/, '/ticket/')
    const exchanged = await this.fetch(ticketUrl, { method: 'POST', credentials: 'include' })
    if (!exchanged.ok) return exchanged
    const { ticket = '' } = await exchanged.json()
    this.token = undefined
    const separator = this.url.includes('?') ? '&' : '?'
    return this.fetch(`${this.url}${separator}ticket=${encodeURIComponent(ticket)}`, {})
  }

  protected event(name: string | undefined, data: string, id: string | undefined): void {
    const offset = id?.split('.')[1] ?? '-'
    if (name === undefined) this.frame(`${offset} ${data}`)
    else if (name === 'binary') this.frame(bytesOf(offset, data))
    // It reads streams only, and the next dial may be that of a WebSocket.
    else if (name !== 'ticket') {
      const fields = JSON.parse(data)
      if (name === 'goodbye') this.goodbye = fields
      this.#control(name, fields)
    }
  }

  #control(command: string, fields: object): void {
    this.frame(JSON.stringify({ type: 'control', command, ...fields }))
  }
}

/** Reads the live door, and sends each frame by POST. */
export class LiveEvents extends EventSocket {
  /** What the first event says about the calls of this stream. */
  #calls: { readonly connection_id: string; readonly secret: string } | undefined

  protected addressOf(url: string): string {
    return `${url.replace(/\/$/, '')}/sse`
  }

  /** The answer comes as an event. A frame that was refused, not for its size, ends the stream. */
  send(body: string): void {
    this.inOrder(async () => {
      const { connection_id, secret } = this.#calls ?? {}
      const call = this.fetch(`${this.url}/${connection_id}`, { method: 'POST', body }, secret)
      const status = await call.then(
        (answer) => answer.status,
        () => 0,
      )
      // A proxy has a limit of its own: the same frame would end the next stream, too.
      if (status === 413) this.#tooLarge(JSON.parse(body))
      else if (status !== 202) this.lose(`http-${status}`)
    })
  }

  #tooLarge({ correlation_id, envelope }: { correlation_id?: string; envelope?: Envelope }): void {
    const id = correlation_id ?? envelope?.correlation_id
    this.frame(JSON.stringify({ type: 'error', code: 'message-too-large', message: 'http-413', correlation_id: id }))
  }

  protected event(name: string | undefined, data: string): void {
    // Agents may publish messages of the type `stream`, too; only the first event is no frame.
    if (!this.#calls) {
      this.#calls = JSON.parse(data)
      return
    }
    if (name === 'disconnect_notice') this.goodbye = JSON.parse(data)
    this.frame(data)
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
