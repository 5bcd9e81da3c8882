/** What `on` returns: call it to stop listening. */
export type Off = () => void

/** A small typed list of listeners; `Events` maps each event to what its listeners get. */
export class Emitter<Events extends object> {
  readonly #listeners: { [K in keyof Events]?: Set<(value: Events[K]) => void> } = {}

  /** Calls `listener` at each `name` event. Returns a function that ends that. */
  on<K extends keyof Events>(name: K, listener: (value: Events[K]) => void): Off {
    const set = this.#listeners[name] ?? new Set()
    this.#listeners[name] = set
    set.add(listener)
    return () => set.delete(listener)
  }

  protected has(name: keyof Events): boolean {
    return (this.#listeners[name]?.size ?? 0) > 0
  }

  protected emit<K extends keyof Events>(name: K, value: Events[K]): void {
    for (const listener of this.#listeners[name] ?? []) {
      try {
        listener(value)
      } catch (error) {
        // A fault in one listener must not stop the others, nor the socket. It is still reported.
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }
}
