import { type Pipe, TcpProxy } from './proxy.ts'
import { isMessage, RespValues } from './resp.ts'
import { type Scope, stopAtEnd } from './scope.ts'

/** Which bytes a fault is for. */
export interface FaultScope {
  /** Undefined: both ways. */
  readonly way?: Pipe['way'] | undefined
  /** Only connections that have named themselves so to Redis; undefined: all. */
  readonly link?: string | undefined
}

interface Fault {
  readonly kind: 'cut-mid-frame' | 'delay' | 'half-open' | 'drop' | 'deaf'
  readonly scope: FaultScope
  readonly ms: number
}

/** What a connection has been through. */
interface Passage {
  /** What was sent first: it has the name in it. */
  hello: string
  /** Bytes of it are missing: whoever goes on with it reads nonsense. */
  broken: boolean
  /** Messages of it are missing, and nothing else. */
  deaf: boolean
  readonly values: RespValues
}

const HELLO_BYTES = 1000

/** A TCP proxy whose faults are commanded: one at a time, for old and new connections alike, until `heal`. */
export class FaultProxy extends TcpProxy {
  readonly #passages = new Map<Pipe, Passage>()
  readonly #late = new Map<Pipe, { bytes: Buffer[]; due: number }>()
  #fault: Fault | undefined

  static override async to(target: number): Promise<FaultProxy> {
    return new FaultProxy(target).open()
  }

  /** Ends the connections there are with a RST or a FIN; new ones are accepted. */
  sever(how: 'reset' | 'fin', link?: string): void {
    for (const pipe of this.#concerned({ way: 'up', link })) end(pipe, how)
  }

  /** The next chunk is passed on in part, and then the connection is reset. */
  cutMidFrame(scope: FaultScope = {}): void {
    this.#begin('cut-mid-frame', scope)
  }

  /** Resets all connections, and each new one. */
  refuse(): void {
    this.cut()
  }

  /** Bytes take so much longer; their order stays. */
  delay(ms: number, scope: FaultScope = {}): void {
    this.#begin('delay', scope, ms)
  }

  /** Nothing is read any more, and nobody is told: who writes finds the way full after a while. What waits goes through when it heals. */
  halfOpen(scope: FaultScope = {}): void {
    this.#begin('half-open', scope)
    for (const pipe of this.#concerned(scope)) pipe.from.pause()
  }

  /** Bytes vanish, and when it heals the connections that missed some are reset: a middlebox that has lost its state. */
  drop(scope: FaultScope = {}): void {
    this.#begin('drop', scope)
  }

  /**
   * Messages of subscribed channels vanish, and all else goes through: a connection that answers pings and delivers nothing. When it heals,
   * those that missed some are reset.
   */
  deaf(): void {
    this.#begin('deaf', { way: 'down' })
  }

  /** The fault is over. */
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
    // Answers go through value by value, since nobody can say later where in the stream one begins.
    const values = pipe.way === 'up' ? [chunk] : passage.values.push(chunk)
    const through = fault?.kind === 'deaf' ? values.filter((value) => !isMessage(value)) : values
    if (through.length < values.length) passage.deaf = true
    if (through.length > 0) this.#forward(pipe, Buffer.concat(through), fault?.ms ?? 0)
  }

  #cutIn(pipe: Pipe, chunk: Buffer): void {
    this.#passages.delete(pipe)
    pipe.to.write(chunk.subarray(0, Math.floor(chunk.length / 2)), () => end(pipe, 'reset'))
  }

  /** What is read already waits with the rest. */
  #stop(pipe: Pipe, chunk: Buffer): void {
    pipe.from.pause()
    pipe.from.unshift(chunk)
  }

  /** What is late holds up what comes behind it. Each timer takes the bytes whose turn it is, whatever it was set for. */
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

/** A FaultProxy for one scope. */
export const faultProxyFor = (scope: Scope, target: number): Promise<FaultProxy> =>
  stopAtEnd(scope, FaultProxy.to(target))
