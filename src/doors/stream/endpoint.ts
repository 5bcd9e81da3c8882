import { setImmediate } from 'node:timers/promises'
import { originRule } from '../../config/origins.ts'
import { type Refusal, refusals } from '../../contract/codes.ts'
import { readBody } from '../../http/body.ts'
import type { ClientAddress, ClientAddresses } from '../../http/client-address.ts'
import { PathPattern } from '../../http/path.ts'
import { refused, refuseUnclear, withRedis } from '../../http/refuse.ts'
import type { ApiResponse } from '../../http/response.ts'
import { write, writeAndClose } from '../../http/write.ts'
import { RedisForbids, RedisUnavailable } from '../../platform/unavailable.ts'
import type { HttpRequest, HttpResponse, TemplatedApp } from '../../platform/uws.ts'
import { LogUnusable } from '../../sessions/stream-log.ts'
import type { KeysAwaited, LaterChecks, StillCounts, StreamAccess } from './access.ts'
import { refusedWith } from './answer.ts'
import { corsOf, preflight } from './cors.ts'
import { type EventsParts, sendEvents } from './events.ts'
import { type ReadRequest, readRequestOf, type StreamReads } from './reads.ts'
import { copyOf, pathFault, type StreamRequest } from './request.ts'
import type { Watch } from './waiting.ts'
import type { StreamWrites } from './writes.ts'

/** What a read may ask for, by the name of the parameter that was not valid. */
const PARAMETERS = {
  offset: 'The parameter offset must come once, as -1, now, or the Stream-Next-Offset of an answer.',
  live: 'The parameter live must be long-poll or sse.',
} as const

export interface StreamDoorParts {
  readonly options: {
    readonly allowedOrigins: readonly string[]
    readonly streamAppend: boolean
    readonly streamMaxBodyBytes: number
    readonly encrypted: boolean
  }
  readonly addresses: ClientAddresses
  readonly limits: {
    attempt(client: ClientAddress, now: number): Refusal | undefined
    refused(ip: string, refusal: Refusal, now: number): void
    take(client: ClientAddress, now: number, trusted: boolean): Refusal | undefined
    give(ip: string): void
  }
  readonly draining: () => boolean
  readonly access: StreamAccess
  readonly reads: StreamReads
  readonly writes: StreamWrites
  readonly events: EventsParts
  /** Hears of a session from now on. @throws RedisUnavailable; RedisForbids. */
  readonly watch: (session: string, agent: string) => Promise<Watch>
  /** Counts how a live read or a refused request ended: `accepted`, or the code of the refusal. */
  readonly counted: (result: string) => void
  /** Counts the live reads that are open. */
  readonly open: (change: 1 | -1) => void
  readonly unusable: (session: string, error: Error) => void
  readonly fault: (error: unknown) => void
}

/** A request whose client may have gone. */
interface Call {
  readonly res: HttpResponse
  readonly request: StreamRequest
  isGone: boolean
  /** Set when its credential was accepted. */
  stillCounts: StillCounts
  watch: Watch | undefined
  /** Ends the reading of the body, or a wait for the client to read. */
  stop: (() => void) | undefined
}

const NO_BODY = Buffer.alloc(0)
const READS = 'GET, HEAD, OPTIONS'
const ALL = 'GET, HEAD, PUT, POST, DELETE, OPTIONS'
const APPEND_OFF = 'Streams are written over HTTP only with STREAM_APPEND=true. Agents with Redis need no such setting.'
const WRITES: ReadonlySet<string> = new Set(['PUT', 'POST', 'DELETE'])

/**
 * `/{agentId}/stream/{sessionId}`: a session with a log, as a stream of the Durable Streams
 * protocol.
 * docs/reference/streams.md has its requests.
 */
export class StreamDoor {
  readonly path = new PathPattern('/:agentId/stream/:sessionId')
  readonly #parts: StreamDoorParts
  readonly #allows: (origin: string) => boolean
  readonly #methods: string

  constructor(parts: StreamDoorParts) {
    this.#parts = parts
    this.#allows = originRule(parts.options.allowedOrigins, false)
    this.#methods = parts.options.streamAppend ? ALL : READS
  }

  mount(app: TemplatedApp): void {
    for (const route of this.path.routes) app.any(route, (res, req) => this.#begin(res, req))
  }

  #begin(res: HttpResponse, req: HttpRequest): void {
    const { addresses } = this.#parts
    if (refuseUnclear(res, req, addresses.relayed)) return
    const request = copyOf(res, req, this.path, addresses)
    const call: Call = { res, request, isGone: false, stillCounts: () => false, watch: undefined, stop: undefined }
    res.onAborted(() => {
      call.isGone = true
      call.watch?.end()
      call.stop?.()
    })
    const refusal = this.#whyNot(request)
    if (refusal !== undefined) return this.#refuse(call, refusal)
    if (request.method === 'OPTIONS') return this.#write(call, preflight(this.#methods))
    void this.#answer(call)
  }

  /** The checks that need neither Redis nor a credential. */
  #whyNot(request: StreamRequest): Refusal | undefined {
    const { limits, draining } = this.#parts
    const { method, client, headers } = request
    const tooFast = limits.attempt(client, performance.now())
    if (tooFast) return tooFast
    const fault = pathFault(request)
    if (fault) return fault
    if (!this.#methods.split(', ').includes(method)) return this.#notAllowed(method)
    if (draining()) return refusals.draining
    return this.#allows(headers.origin ?? '') ? undefined : refusals['origin-not-allowed']
  }

  #notAllowed(method: string): Refusal {
    const refusal = refusals['method-not-allowed']
    const message = WRITES.has(method) ? APPEND_OFF : refusal.message
    return { ...refusal, message, headers: { Allow: this.#methods } }
  }

  async #answer(call: Call): Promise<void> {
    try {
      const { request } = call
      const writes = WRITES.has(request.method)
      const first = this.#parts.access.check(request, writes)
      if ('kind' in first && first.kind === 'refusal') return this.#refuse(call, first)
      // The library drops a body that has no reader, so the reading begins before any wait.
      const reading = writes ? this.#bodyOf(call) : Promise.resolve(NO_BODY)
      const later = 'kind' in first ? await this.#afterFetch(call, first, writes) : first
      if (call.isGone) return
      if ('kind' in first && writes) call.res.resume()
      if ('kind' in later) return this.#refuse(call, later)
      const body = await reading
      if (call.isGone) return
      if (body === undefined) return this.#refuse(call, refusals['body-too-large'])
      const checked = await later()
      if (call.isGone) return
      if (typeof checked !== 'function') return this.#refuse(call, checked)
      call.stillCounts = checked
      const response = await this.#responseTo(call, body)
      if (response !== undefined) this.#write(call, response)
    } catch (error) {
      this.#refuse(call, this.#refusalOf(call, error))
    }
  }

  /** Waits for keys. Meanwhile no more of the body is read than has come with the head. */
  async #afterFetch({ res, request }: Call, first: KeysAwaited, writes: boolean): Promise<Refusal | LaterChecks> {
    let checked: ReturnType<StreamAccess['check']> = first
    if (writes) res.pause()
    while ('kind' in checked && checked.kind === 'keys') {
      await checked.fetched
      checked = this.#parts.access.check(request, writes)
    }
    return checked
  }

  /** Resolves with undefined when the body is too large, or the client has gone. */
  async #bodyOf(call: Call): Promise<Buffer | undefined> {
    const { res, request } = call
    const body = await readBody(res, this.#parts.options.streamMaxBodyBytes, (stop) => {
      call.stop = stop
    })
    // As for every route: nothing behind a body in chunks is read as a request.
    if (request.headers['transfer-encoding'] !== '') await setImmediate()
    return body
  }

  /** Resolves with undefined when the response is written already. */
  async #responseTo(call: Call, body: Buffer): Promise<ApiResponse | undefined> {
    const { reads, writes, options } = this.#parts
    const { method, session, query, headers, path } = call.request
    if (method === 'HEAD') return withRedis(() => reads.head(session))
    if (method !== 'GET') {
      const scheme = options.encrypted || headers['x-forwarded-proto'] === 'https' ? 'https' : 'http'
      const url = `${scheme}://${headers.host}${path}`
      const request = { session, header: (name: string) => headers[name] ?? '', body, url }
      if (method === 'PUT') return withRedis(() => writes.create(request))
      return withRedis(() => (method === 'POST' ? writes.append(request) : writes.remove(request)))
    }
    const read = readRequestOf(query, headers['if-none-match'] ?? '')
    if (typeof read === 'string') return refusedWith({ ...refusals['bad-request'], field: read }, {}, PARAMETERS[read])
    if (read.live === undefined) return withRedis(() => reads.catchUp(session, read))
    return this.#live(call, read)
  }

  /** A live read takes a place in the limits, as a socket does. */
  async #live(call: Call, read: ReadRequest): Promise<ApiResponse | undefined> {
    const { limits, reads, counted, open } = this.#parts
    const { client, session, agent } = call.request
    const full = limits.take(client, performance.now(), true)
    if (full !== undefined) {
      counted(full.code)
      return refused(full)
    }
    counted('accepted')
    open(1)
    try {
      if (read.live === 'sse') return await this.#events(call, read)
      const answer = await reads.longPoll(session, agent, read, (watch) => this.#watched(call, watch))
      return call.stillCounts() ? answer : refused(refusals['token-rejected'])
    } finally {
      open(-1)
      limits.give(client.ip)
    }
  }

  async #events(call: Call, { position, cursor }: ReadRequest): Promise<ApiResponse | undefined> {
    const { reads, watch: hear, events } = this.#parts
    const { res, request } = call
    const { session, agent, headers } = request
    const place = await reads.find(session, position)
    if (!('state' in place)) return place
    const watch = this.#watched(call, await hear(session, agent))
    let hasBegun = false
    try {
      const head = (given: Readonly<Record<string, string>>) => {
        hasBegun = true
        res.writeStatus('200 OK')
        const all = { ...given, 'X-Content-Type-Options': 'nosniff', ...corsOf(headers.origin ?? '') }
        for (const [name, value] of Object.entries(all)) res.writeHeader(name, value)
      }
      const { stillCounts } = call
      const isGone = () => call.isGone
      const onGone = (stop: () => void) => {
        call.stop = stop
      }
      await sendEvents({ res, isGone, onGone, stillCounts, head, session, place, cursor, watch }, events)
      return undefined
    } catch (error) {
      if (!hasBegun) throw error
      // The answer is under way, so it only ends: the client comes back and gets the refusal.
      this.#refusalOf(call, error)
      if (!call.isGone) res.cork(() => res.end())
      return undefined
    } finally {
      watch.end()
    }
  }

  #watched(call: Call, watch: Watch): Watch {
    call.watch = watch
    if (call.isGone) watch.end()
    return watch
  }

  /** Returns the refusal that an error is answered with, and logs what an operator has to mend. */
  #refusalOf(call: Call, error: unknown): Refusal {
    if (error instanceof RedisUnavailable) return refusals['redis-unavailable']
    if (error instanceof RedisForbids) return refusals.forbidden
    if (error instanceof LogUnusable) {
      this.#parts.unusable(call.request.session, error)
      return refusals.forbidden
    }
    this.#parts.fault(error)
    return refusals['internal-error']
  }

  #refuse(call: Call, refusal: Refusal): void {
    const { limits, counted } = this.#parts
    limits.refused(call.request.client.ip, refusal, performance.now())
    counted(refusal.code)
    this.#write(call, refused(refusal), true)
  }

  /** @param closes close the connection: the body of the request may not have been read. */
  #write(call: Call, response: ApiResponse, closes = false): void {
    if (call.isGone) return
    const { method, headers } = call.request
    const answer = { ...response, headers: { ...corsOf(headers.origin ?? ''), ...response.headers } }
    const isChunked = headers['transfer-encoding'] !== ''
    if (isChunked || (closes && WRITES.has(method))) writeAndClose(call.res, answer)
    else write(call.res, answer, method === 'HEAD')
  }
}
