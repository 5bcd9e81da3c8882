/** React's hooks for one component without a page: render, effects, and unmounting. */

type Deps = readonly unknown[]

interface Slot {
  value?: unknown
  deps?: Deps | undefined
  cleanup?: (() => void) | undefined
}

interface Component {
  readonly slots: Slot[]
  next: number
  isDirty: boolean
  effects: (() => void)[]
}

let current: Component | undefined

function take(): [Slot, Component, boolean] {
  const component = current
  if (!component) throw new Error('a hook outside a component')
  const index = component.next++
  const isFirst = index === component.slots.length
  if (isFirst) component.slots.push({})
  return [component.slots[index]!, component, isFirst]
}

const differs = (a: Deps | undefined, b: Deps | undefined): boolean =>
  !a || !b || a.length !== b.length || a.some((value, i) => !Object.is(value, b[i]))

export function useState<T>(initial: T): [T, (value: T | ((before: T) => T)) => void] {
  const [slot, component, isFirst] = take()
  if (isFirst) slot.value = initial
  const set = (value: T | ((before: T) => T)) => {
    const next = value instanceof Function ? value(slot.value as T) : value
    if (Object.is(slot.value, next)) return
    slot.value = next
    component.isDirty = true
  }
  return [slot.value as T, set]
}

export function useRef<T>(initial: T): { current: T } {
  const [slot, , isFirst] = take()
  if (isFirst) slot.value = { current: initial }
  return slot.value as { current: T }
}

export function useMemo<T>(make: () => T, deps: Deps): T {
  const [slot] = take()
  if (differs(slot.deps, deps)) {
    slot.value = make()
    slot.deps = deps
  }
  return slot.value as T
}

export const useCallback = <F>(callback: F, deps: Deps): F => useMemo(() => callback, deps)

// biome-ignore lint/suspicious/noConfusingVoidType: as in React.
export function useEffect(effect: () => (() => void) | void, deps?: Deps): void {
  const [slot, component] = take()
  if (!differs(slot.deps, deps)) return
  slot.deps = deps
  component.effects.push(() => {
    slot.cleanup?.()
    slot.cleanup = effect() ?? undefined
  })
}

export function useSyncExternalStore<T>(subscribe: (changed: () => void) => () => void, get: () => T): T {
  const [, component] = take()
  const value = get()
  useEffect(
    () =>
      subscribe(() => {
        if (!Object.is(value, get())) component.isDirty = true
      }),
    [subscribe],
  )
  return value
}

/** A mounted component whose body is `use`; `strict` runs its effects twice, as StrictMode does. */
export class Mounted<T> {
  readonly #component: Component = { slots: [], next: 0, isDirty: true, effects: [] }
  #use: () => T
  #shown: T | undefined

  constructor(use: () => T, { strict = false } = {}) {
    this.#use = use
    this.#render(strict)
  }

  /** What the component shows now. */
  get shown(): T {
    while (this.#component.isDirty) this.#render(false)
    return this.#shown!
  }

  /** Renders with another body, as a parent with other properties does. */
  update(use: () => T): void {
    this.#use = use
    this.#component.isDirty = true
    void this.shown
  }

  unmount(): void {
    for (const slot of this.#component.slots) slot.cleanup?.()
  }

  #render(strict: boolean): void {
    const component = this.#component
    component.isDirty = false
    component.next = 0
    component.effects = []
    current = component
    this.#shown = this.#use()
    current = undefined
    const { effects } = component
    for (const run of effects) run()
    if (strict) for (const run of effects) run()
  }
}
