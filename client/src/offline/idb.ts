/** The part of IndexedDB that the outbox uses, declared here so that the types need no `dom`. */

/** A request of IndexedDB. */
interface Request<T = unknown> {
  readonly result: T
  readonly error: unknown
  onsuccess: (() => void) | null
  onerror: (() => void) | null
}

interface Cursor {
  readonly key: unknown
  readonly value: unknown
  delete(): Request
  continue(): void
}

/** An object store or an index. */
export interface Table {
  get(key: unknown): Request
  getAll(query?: unknown, count?: number): Request<unknown[]>
  count(): Request<number>
  add(value: unknown): Request
  put(value: unknown, key?: unknown): Request
  delete(key: unknown): Request
  openCursor(): Request<Cursor | null>
  index(name: string): Table
  createIndex(name: string, path: string, options?: { unique?: boolean }): unknown
}

interface Transaction {
  oncomplete: (() => void) | null
  onabort: (() => void) | null
  onerror: (() => void) | null
  readonly error: unknown
  objectStore(name: string): Table
  abort(): void
}

/** An open database. */
export interface Database {
  transaction(names: readonly string[], mode: 'readonly' | 'readwrite', options?: object): Transaction
  createObjectStore(name: string, options?: { keyPath?: string | string[]; autoIncrement?: boolean }): Table
  onversionchange: (() => void) | null
  onclose: (() => void) | null
  close(): void
}

interface OpenRequest extends Request<Database> {
  onupgradeneeded: ((event: { oldVersion: number }) => void) | null
}

/** What opens databases: `indexedDB` of the page. */
export interface DatabaseFactory {
  open(name: string, version: number): OpenRequest
}

/** The result of a request. */
export const result = <T>(request: Request<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })

/**
 * Opens a database of the version that the list of migrations has, and runs those that it lacks.
 * Rejects where a newer page has made a newer version.
 */
export function open(
  factory: DatabaseFactory,
  name: string,
  migrations: readonly ((db: Database) => void)[],
): Promise<Database> {
  const request = factory.open(name, migrations.length)
  request.onupgradeneeded = ({ oldVersion }) => {
    for (const migrate of migrations.slice(oldVersion)) migrate(request.result)
  }
  return result(request)
}

/** Runs `work` in one transaction. Rejects, and changes nothing, when `work` throws. */
export async function within<T>(
  db: Database,
  names: readonly string[],
  work: (table: (name: string) => Table) => Promise<T>,
): Promise<T> {
  const transaction = db.transaction(names, 'readwrite', { durability: 'strict' })
  const done = new Promise<void>((resolve, reject) => {
    transaction.oncomplete = () => resolve()
    transaction.onabort = transaction.onerror = () => reject(transaction.error)
  })
  // When `work` throws, its error is the one that counts.
  done.catch(() => {})
  try {
    const value = await work((name) => transaction.objectStore(name))
    await done
    return value
  } catch (error) {
    try {
      transaction.abort()
    } catch {
      // It has ended.
    }
    throw error
  }
}

/** Deletes the rows of a table that `isOld` says are. */
export function sweep(table: Table, isOld: (row: never) => boolean): Promise<void> {
  const request = table.openCursor()
  return new Promise((resolve, reject) => {
    request.onerror = () => reject(request.error)
    request.onsuccess = () => {
      const cursor = request.result
      if (!cursor) return resolve()
      if (isOld(cursor.value as never)) cursor.delete()
      cursor.continue()
    }
  })
}
