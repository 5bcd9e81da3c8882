import { type Pipe, TcpProxy } from './proxy.ts'
import { isMessage, RespValues } from './resp.ts'
import { type Scope, stopAtEnd } from './scope.ts'

/** The bytes that a fault affects. */
export interface FaultScope {
  /** The direction; undefined: both. */
  readonly way?: Pipe['way'] | undefined
  /** Only connections with this name in their first bytes; undefined: all. */
  readonly link?: string | undefined
}

interface Fault {
  readonly kind: 'cut-mid-frame' | 'delay' | 'half-open' | 'drop' | 'deaf'
  readonly scope: FaultScope
  readonly ms: number
}

/** The state of one connection. */
interface Passage {
  /** The first bytes that the client sent, which contain its name. */
  hello: string
  /** Bytes are missing, so the rest of the stream cannot be parsed. */
  broken: boolean
  /** Whole messages are missing, and nothing else. */
  deaf: boolean
  readonly values: RespValues
}

const HELLO_BYTES = 1000

/** A TCP proxy with one fault at a time, for existing and new connections, until `heal`. */
export class FaultProxy extends TcpProxy {
  readonly #passages = new Map<Pipe, Passage>()
  readonly #late = new Map<Pipe, { bytes: Buffer[]; due: number }>()
  #fault: Fault | undefined

  static override async to(target: number): Promise<FaultProxy> {
    return new FaultProxy(target).open()
  }

  /** Ends all present connections with a RST or a FIN; new ones are accepted. */
  sever(how: 'reset' | 'fin', link?: string): void {
    for (const pipe of this.#concerned({ way: 'up', link })) end(pipe, how)
  }

  /** Passes on half of the next chunk and then resets the connection. */
  cutMidFrame(scope: FaultScope = {}): void {
    this.#begin('cut-mid-frame', scope)
  }

  /** Resets all connections, and each new one. */
  refuse(): void {
    this.cut()
  }

  /** Delays all bytes by `ms` and keeps their order. */
  delay(ms: number, scope: FaultScope = {}): void {
    this.#begin('delay', scope, ms)
  }

  /**
   * Stops reading without closing: after a while the sender's buffers are full. `heal` passes on
   * what has waited.
   */
  halfOpen(scope: FaultScope = {}): void {
    this.#begin('half-open', scope)
    for (const pipe of this.#concerned(scope)) pipe.from.pause()
  }

  /** Drops bytes, as a middlebox without state does. `heal` resets the affected connections. */
  drop(scope: FaultScope = {}): void {
    this.#begin('drop', scope)
  }

  /**
   * Drops the messages of subscribed channels and passes on all else: the connection answers pings
   * and delivers nothing. `heal` resets the connections that missed a message.
   */
  deaf(): void {
    this.#begin('deaf', { way: 'down' })
  }

  /** Ends the fault. */
  heal(): void {
    this.#fault = undefined
    for (const [pipe, { broken, deaf }] of this.#passages) if (broken || deaf) end(pipe, 'reset')
    this.release()
    this.restore()
  }

  protected override opened(up: Pipe): void {
    const passage = { hello: '', broken: false, deaf: false, values: new RespValues() }
    for (const pipe of [up, up.back]) {
      this.#passages.set(pipe, passage)
      pipe.from.on('close', () => {
        this.#passages.delete(pipe)
        this.#late.delete(pipe)
      })
    }
  }

  protected override pass(pipe: Pipe, chunk: Buffer): void {
    const passage = this.#passages.get(pipe)
    if (passage === undefined) return
    if (pipe.way === 'up' && passage.hello.length < HELLO_BYTES) passage.hello += chunk.toString('latin1')
    const fault = this.#fault && this.#isIn(this.#fault.scope, pipe) ? this.#fault : undefined
    if (fault?.kind === 'half-open') return this.#stop(pipe, chunk)
    if (fault?.kind === 'cut-mid-frame') return this.#cutIn(pipe, chunk)
    if (fault?.kind === 'drop') passage.broken = true
    if (passage.broken) return
    // Answers pass value by value: the start of a value cannot be found later in the stream.
    const values = pipe.way === 'up' ? [chunk] : passage.values.push(chunk)
    const through = fault?.kind === 'deaf' ? values.filter((value) => !isMessage(value)) : values
    if (through.length < values.length) passage.deaf = true
    if (through.length > 0) this.#forward(pipe, Buffer.concat(through), fault?.ms ?? 0)
  }

  #cutIn(pipe: Pipe, chunk: Buffer): void {
    this.#passages.delete(pipe)
    pipe.to.write(chunk.subarray(0, Math.floor(chunk.length / 2)), () => end(pipe, 'reset'))
  }

  /** Puts the chunk back, so that it waits with the bytes behind it. */
  #stop(pipe: Pipe, chunk: Buffer): void {
    pipe.from.pause()
    pipe.from.unshift(chunk)
  }

  /** A delayed chunk holds up those behind it: each timer sends the oldest waiting chunk. */
  #forward(pipe: Pipe, chunk: Buffer, ms: number): void {
    const late = this.#late.get(pipe)
    if (ms === 0 && (late === undefined || late.bytes.length === 0)) return void pipe.to.write(chunk)
    const queue = late ?? { bytes: [], due: 0 }
    this.#late.set(pipe, queue)
    queue.bytes.push(chunk)
    queue.due = Math.max(queue.due, performance.now() + ms)
    setTimeout(() => pipe.to.write(queue.bytes.shift()!), queue.due - performance.now())
  }

  #begin(kind: Fault['kind'], scope: FaultScope, ms = 0): void {
    this.#fault = { kind, scope, ms }
  }

  #concerned(scope: FaultScope): Pipe[] {
    return [...this.pipes].filter((pipe) => this.#isIn(scope, pipe))
  }

  #isIn({ way, link }: FaultScope, pipe: Pipe): boolean {
    const hello = this.#passages.get(pipe)?.hello ?? ''
    return (way === undefined || way === pipe.way) && (link === undefined || hello.includes(link))
  }
}

function end(pipe: Pipe, how: 'reset' | 'fin'): void {
  for (const socket of [pipe.from, pipe.to]) {
    if (how === 'fin') socket.end()
    else socket.resetAndDestroy()
  }
}

/** A FaultProxy that stops when the scope ends. */
export const faultProxyFor = (scope: Scope, target: number): Promise<FaultProxy> =>
  stopAtEnd(scope, FaultProxy.to(target))
