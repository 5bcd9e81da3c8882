/** Changes that survive a lost network and a reload, each published once. */
import { Emitter } from '../events.ts'
import type { Envelope } from '../live.gen.ts'
import { Drain, type DrainState } from './drain.ts'
import type { DatabaseFactory } from './idb.ts'
import { type Decision, Store, type Thing } from './store.ts'
import type { Transport } from './transports.ts'

export type { DrainState } from './drain.ts'
export { decide, merge, type Verdict } from './merge.ts'
export type { Answer, Decision, Thing } from './store.ts'
export { overHttp, overLive, type Transport } from './transports.ts'

/** Where the outbox stands: what the publishing tab does, and how many changes wait. */
export type OfflineState = DrainState & { readonly pending: number }

/** What an outbox says. */
export interface OfflineEvents {
  state: OfflineState
  /** A thing is another one now, by this tab, another tab or the gateway. */
  change: Thing
  /** The gateway has refused a change for good, or could not be reached for 7 days. */
  refused: Thing
}

/** Options of {@link offline}. */
export interface OfflineOptions {
  readonly transport: Transport
  /** The database. Users of one browser need one each. By default `wsproxy`. */
  readonly name?: string | undefined
  /** The topic of the things of a domain; by default the domain itself. */
  readonly topic?: ((domain: string) => string) | undefined
}

/** A message of one tab to the others. */
type Note = { readonly state: OfflineState } | { readonly changed: readonly Thing[] } | { readonly retry: true }

interface Channel {
  onmessage: ((event: { data: Note }) => void) | null
  postMessage(note: Note): void
  close(): void
}

interface Page {
  readonly indexedDB: DatabaseFactory
  readonly BroadcastChannel?: new (name: string) => Channel
  readonly navigator?: {
    readonly locks?: { request(name: string, options: object, work: () => Promise<void>): Promise<void> }
  }
  addEventListener?(name: string, listener: () => void): void
  removeEventListener?(name: string, listener: () => void): void
}

const page = globalThis as unknown as Page

/** An outbox of changes. See {@link offline}. */
export class Offline extends Emitter<OfflineEvents> {
  readonly #store: Store
  readonly #drain: Drain
  readonly #channel: Channel | undefined
  readonly #stop = new AbortController()
  readonly #unwatch: (() => void) | undefined
  #state: OfflineState = { name: 'idle', pending: 0 }

  constructor({ transport, name = 'wsproxy', topic = (domain) => domain }: OfflineOptions) {
    super()
    const store = new Store(page.indexedDB, name)
    this.#store = store
    this.#drain = new Drain({
      next: async (count) => {
        const { waiting, changed } = await store.next(count)
        this.#changed(changed)
        return waiting
      },
      publish: (list) => transport.publish(list.map(({ envelope }) => ({ topic: topic(envelope.domain), envelope }))),
      settle: async (sent, answers) => {
        const { changed, again } = await store.settle(sent, answers)
        this.#changed(changed)
        return again
      },
      state: (state) => this.#show(state),
    })
    if (page.BroadcastChannel) {
      this.#channel = new page.BroadcastChannel(`wsproxy ${name}`)
      this.#channel.onmessage = ({ data }) => this.#heard(data)
    }
    this.#unwatch = transport.watch?.(this.retry)
    page.addEventListener?.('online', this.retry)
    this.#begin(`wsproxy ${name}`)
  }

  get state(): OfflineState {
    return this.#state
  }

  /** Sets a thing. Resolves when it is stored and `state` counts it; it is published later. */
  put(domain: string, id: string, data: unknown): Promise<Thing> {
    return this.#change('put', domain, id, data)
  }

  /** Deletes a thing. */
  remove(domain: string, id: string): Promise<Thing> {
    return this.#change('delete', domain, id)
  }

  /** Merges a change of another client: the `data` of a message of type `envelope`. */
  async receive(envelope: Envelope): Promise<void> {
    const thing = await this.#store.receive(envelope)
    if (thing) this.#changed([thing])
  }

  /** A thing; undefined where it is not known. One with `op: 'delete'` is deleted. */
  get(domain: string, id: string): Promise<Thing | undefined> {
    return this.#store.get(domain, id)
  }

  /** The things of a domain that are not deleted. */
  list(domain: string): Promise<Thing[]> {
    return this.#store.list(domain)
  }

  /** The last 100 decisions, the oldest first. */
  log(): Promise<Decision[]> {
    return this.#store.log()
  }

  /** Ends a pause, for instance after a sign-in: the token is another one now. */
  readonly retry = (): void => {
    this.#drain.retry()
    this.#channel?.postMessage({ retry: true })
  }

  /** Ends the work of this tab. What waits stays, for another tab or the next visit. */
  async close(): Promise<void> {
    page.removeEventListener?.('online', this.retry)
    this.#unwatch?.()
    this.#drain.stop()
    this.#stop.abort()
    this.#channel?.close()
    await this.#store.close()
  }

  /** One tab publishes. When it goes, the next one does. */
  #begin(lock: string): void {
    const run = async () => {
      await this.#store.tidy().catch(() => {})
      await this.#drain.run()
    }
    const locks = page.navigator?.locks
    if (!locks) return void run()
    locks.request(lock, { signal: this.#stop.signal }, run).catch(() => {})
    // Until the publishing tab says more, this one knows only how many changes wait.
    this.#store.count().then(
      (pending) => this.#set({ ...this.#state, pending }),
      () => {},
    )
  }

  async #change(what: 'put' | 'delete', domain: string, id: string, data?: unknown): Promise<Thing> {
    const thing = await this.#store.change(what, domain, id, data)
    this.#changed([thing])
    this.#set({ ...this.#state, pending: await this.#count() })
    this.#drain.nudge()
    return thing
  }

  async #show(state: DrainState): Promise<void> {
    const pending = await this.#count()
    if (this.#stop.signal.aborted) return
    this.#set({ ...state, pending })
    this.#channel?.postMessage({ state: this.#state })
  }

  #count(): Promise<number> {
    return this.#store.count().catch(() => this.#state.pending)
  }

  #set(state: OfflineState): void {
    this.#state = state
    this.emit('state', state)
  }

  #changed(things: readonly Thing[]): void {
    if (things.length === 0) return
    this.#emit(things)
    if (!this.#stop.signal.aborted) this.#channel?.postMessage({ changed: things })
  }

  #emit(things: readonly Thing[]): void {
    for (const thing of things) {
      this.emit('change', thing)
      if (thing.refused) this.emit('refused', thing)
    }
  }

  #heard(note: Note): void {
    if ('state' in note) this.#set(note.state)
    else if ('retry' in note) this.#drain.retry()
    else {
      this.#emit(note.changed)
      this.#drain.nudge()
    }
  }
}

/**
 * Keeps changes in IndexedDB and publishes each once, by one tab of the page, whenever the gateway
 * can be reached. The gateway must have `OUTBOX_TOPICS`.
 */
export const offline = (options: OfflineOptions): Offline => new Offline(options)
