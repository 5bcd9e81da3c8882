import type { KeyValueStore } from '../../client/src/index.ts'

/** What `sessionStorage` does, as far as the client uses it. */
export function storeOf(entries = new Map<string, string>()): KeyValueStore & { entries: Map<string, string> } {
  return {
    entries,
    getItem: (key) => entries.get(key) ?? null,
    setItem: (key, value) => void entries.set(key, value),
    removeItem: (key) => void entries.delete(key),
  }
}
