import type { Envelope } from '../live.gen.ts'
import { type Database, type DatabaseFactory, open, result, sweep, type Table, within } from './idb.ts'
import { decide, uuid, type Verdict } from './merge.ts'

const DAY_MS = 86_400_000
/** The gateway knows an envelope again for this long, so an older one could be published twice. */
const MAX_AGE_MS = 7 * DAY_MS
const TOMBSTONE_MS = 30 * DAY_MS
const MAX_LOG = 100

/** Codes after which the same envelope would be refused again. */
const FINAL = ['forbidden', 'unknown-topic', 'protocol-violation', 'message-too-large']

/** What the gateway answers to an envelope. */
export interface Answer {
  /** Undefined: it is published. */
  readonly code?: string | undefined
  /** RFC 3339. */
  readonly server_time?: string | undefined
}

/** One thing as the page sees it. */
export interface Thing extends Envelope {
  /** The change waits to be published. */
  readonly pending?: boolean
  /** The gateway has refused the change for good: the code, or `expired` after 7 days. */
  readonly refused?: string
}

/** One decision. */
export interface Decision {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly domain: string
  readonly id: string
  readonly winner: Verdict['winner']
  /** As of {@link Verdict}, or the code with which the gateway has refused the local change. */
  readonly reason: string
  readonly local?: { readonly ts: number; readonly cid: string } | undefined
  readonly remote?: { readonly ts: number; readonly cid: string } | undefined
}

/** An envelope that waits to be published. */
export interface Waiting {
  readonly n: number
  /** When the page made it, by its own clock. */
  readonly at: number
  readonly correlation_id: string
  readonly envelope: Envelope
}

/** The clock of changes: `offset` is what the clock of the gateway is ahead of the page's. */
interface Clock {
  readonly last: number
  readonly offset: number
}

const MIGRATIONS: readonly ((db: Database) => void)[] = [
  (db) => {
    db.createObjectStore('outbox', { keyPath: 'n', autoIncrement: true }).createIndex('cid', 'correlation_id', {
      unique: true,
    })
    db.createObjectStore('state', { keyPath: ['domain', 'id'] })
    db.createObjectStore('log', { autoIncrement: true })
    db.createObjectStore('meta')
  },
]
const ALL = ['outbox', 'state', 'log', 'meta']

type Tables = (name: string) => Table

const stamp = (envelope: Envelope | undefined) => envelope && { ts: envelope.ts, cid: envelope.correlation_id }

/** The changes of a page and what waits to be published, in IndexedDB: all tabs share it. */
export class Store {
  readonly #factory: DatabaseFactory
  readonly #name: string
  #db: Promise<Database> | undefined

  constructor(factory: DatabaseFactory, name: string) {
    this.#factory = factory
    this.#name = name
  }

  /** Makes a change, and an envelope of it that waits. */
  change(what: 'put' | 'delete', domain: string, id: string, data?: unknown): Promise<Thing> {
    return this.#in(async (table) => {
      const former = (await result(table('state').get([domain, id]))) as Thing | undefined
      const op = what === 'delete' ? what : former && former.op !== 'delete' ? 'update' : 'create'
      const now = Date.now()
      const ts = await this.#tick(table, now)
      const envelope = {
        correlation_id: uuid(now),
        ts,
        op,
        domain,
        id,
        ...(data !== undefined && { data }),
      } as Envelope
      await result(table('outbox').add({ at: now, correlation_id: envelope.correlation_id, envelope }))
      const thing: Thing = { ...envelope, pending: true }
      await result(table('state').put(thing))
      return thing
    })
  }

  /** Merges a change of another client. Returns the thing, or undefined where nothing changed. */
  receive(remote: Envelope): Promise<Thing | undefined> {
    return this.#in(async (table) => {
      const { correlation_id, ts, op, domain, id, data } = remote
      const local = (await result(table('state').get([domain, id]))) as Thing | undefined
      const { winner, reason } = decide(local, remote)
      const clock = await this.#clock(table)
      if (ts > clock.last) await result(table('meta').put({ ...clock, last: ts }, 'clock'))
      if (local) {
        const both = { local: stamp(local), remote: stamp(remote) }
        await this.#log(table, { at: Date.now(), domain, id, winner, reason, ...both })
      }
      if (winner === 'local') return undefined
      const thing = { correlation_id, ts, op, domain, id, data } as Thing
      await result(table('state').put(thing))
      return thing
    })
  }

  get(domain: string, id: string): Promise<Thing | undefined> {
    return this.#in((table) => result(table('state').get([domain, id])) as Promise<Thing | undefined>)
  }

  /** All things of a domain, those without the deleted ones. */
  list(domain: string): Promise<Thing[]> {
    return this.#in(async (table) => {
      const all = (await result(table('state').getAll())) as Thing[]
      return all.filter((thing) => thing.domain === domain && thing.op !== 'delete')
    })
  }

  log(): Promise<Decision[]> {
    return this.#in((table) => result(table('log').getAll()) as Promise<Decision[]>)
  }

  count(): Promise<number> {
    return this.#in((table) => result(table('outbox').count()))
  }

  /** The oldest envelopes that wait, and the things whose change has waited for too long. */
  next(count: number): Promise<{ waiting: Waiting[]; changed: Thing[] }> {
    return this.#in(async (table) => {
      const waiting: Waiting[] = []
      const changed: Thing[] = []
      for (const each of (await result(table('outbox').getAll(null, count))) as Waiting[]) {
        if (Date.now() - each.at > MAX_AGE_MS) changed.push(...(await this.#end(table, each, 'expired')))
        else waiting.push(each)
      }
      return { waiting, changed }
    })
  }

  /**
   * Takes the answers of the gateway. Returns the things that have changed, and whether some must
   * be sent again.
   */
  settle(sent: readonly Waiting[], answers: readonly Answer[]): Promise<{ changed: Thing[]; again: boolean }> {
    return this.#in(async (table) => {
      const changed: Thing[] = []
      let again = false
      for (const [i, waiting] of sent.entries()) {
        const { code, server_time } = answers[i] ?? { code: 'lost' }
        if (server_time) await this.#setClock(table, Date.parse(server_time))
        if (!code || FINAL.includes(code)) changed.push(...(await this.#end(table, waiting, code)))
        else again = true
        if (code === 'clock-ahead') await this.#restamp(table, waiting)
      }
      return { changed, again }
    })
  }

  /** Forgets tombstones that every client has seen by now. */
  tidy(): Promise<void> {
    const isOld = ({ op, ts, pending }: Thing) => op === 'delete' && !pending && ts < Date.now() - TOMBSTONE_MS
    return this.#in((table) => sweep(table('state'), isOld))
  }

  async close(): Promise<void> {
    const db = await this.#db
    this.#db = undefined
    db?.close()
  }

  async #in<T>(work: (table: Tables) => Promise<T>): Promise<T> {
    this.#db ??= open(this.#factory, this.#name, MIGRATIONS).then((db) => {
      const gone = () => (this.#db = undefined)
      db.onclose = gone
      // A newer page wants to migrate: it must not wait for this one.
      db.onversionchange = () => {
        gone()
        db.close()
      }
      return db
    })
    // The next call tries again.
    this.#db.catch(() => (this.#db = undefined))
    return within(await this.#db, ALL, work)
  }

  async #clock(table: Tables): Promise<Clock> {
    return ((await result(table('meta').get('clock'))) as Clock | undefined) ?? { last: 0, offset: 0 }
  }

  /** The next moment of the clock, which never goes back. */
  async #tick(table: Tables, now: number): Promise<number> {
    const { last, offset } = await this.#clock(table)
    const ts = Math.max(now + offset, last + 1)
    await result(table('meta').put({ last: ts, offset }, 'clock'))
    return ts
  }

  async #setClock(table: Tables, serverMs: number): Promise<void> {
    const { last } = await this.#clock(table)
    const offset = Number.isFinite(serverMs) ? serverMs - Date.now() : 0
    await result(table('meta').put({ last, offset }, 'clock'))
  }

  /** The clock of the page was fast: the change gets the present moment. */
  async #restamp(table: Tables, waiting: Waiting): Promise<void> {
    const { offset } = await this.#clock(table)
    await result(table('meta').put({ last: 0, offset }, 'clock'))
    const envelope = { ...waiting.envelope, ts: await this.#tick(table, Date.now()) }
    await result(table('outbox').put({ ...waiting, envelope }))
    const thing = await this.#own(table, waiting)
    if (thing) await result(table('state').put({ ...thing, ts: envelope.ts }))
  }

  /** The thing, where this change is still the one that counts. */
  async #own(table: Tables, { envelope: { domain, id, correlation_id } }: Waiting): Promise<Thing | undefined> {
    const thing = (await result(table('state').get([domain, id]))) as Thing | undefined
    return thing?.correlation_id === correlation_id ? thing : undefined
  }

  async #end(table: Tables, waiting: Waiting, refused: string | undefined): Promise<Thing[]> {
    await result(table('outbox').delete(waiting.n))
    const { domain, id } = waiting.envelope
    if (refused) {
      const local = stamp(waiting.envelope)
      await this.#log(table, { at: Date.now(), domain, id, winner: 'remote', reason: refused, local })
    }
    const thing = await this.#own(table, waiting)
    if (!thing) return []
    const { pending, ...rest } = thing
    const ended: Thing = { ...rest, ...(refused && { refused }) }
    await result(table('state').put(ended))
    return [ended]
  }

  async #log(table: Tables, decision: Decision): Promise<void> {
    const key = (await result(table('log').add(decision))) as number
    await result(table('log').delete(key - MAX_LOG))
  }
}
