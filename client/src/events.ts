/** What `on` returns: call it to stop listening. */
export type Off = () => void

/** The words of what was thrown. */
export const reasonOf = (error: unknown): string => String(error instanceof Error ? error.message : error)

/**
 * Calls all listeners. What one of them throws is thrown later: it must stop neither the others nor
 * the socket.
 */
export function callAll<Value>(listeners: Iterable<(value: Value) => void> | undefined, value: Value): void {
  for (const listener of listeners ?? []) {
    try {
      listener(value)
    } catch (error) {
      queueMicrotask(() => {
        throw error
      })
    }
  }
}

/** A small typed list of listeners; `Events` maps each event to what its listeners get. */
export class Emitter<Events extends object> {
  readonly #listeners: { [K in keyof Events]?: Set<(value: Events[K]) => void> } = {}

  /** Calls `listener` at each `name` event. Returns a function that ends that. */
  on<K extends keyof Events>(name: K, listener: (value: Events[K]) => void): Off {
    this.#listeners[name] ??= new Set()
    const set = this.#listeners[name]!
    set.add(listener)
    return () => set.delete(listener)
  }

  protected has(name: keyof Events): boolean {
    return !!this.#listeners[name]?.size
  }

  protected emit<K extends keyof Events>(name: K, value: Events[K]): void {
    callAll(this.#listeners[name], value)
  }
}
