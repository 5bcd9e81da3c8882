/**
 * The part of React that react.ts uses. Declared here, so that neither the build nor a page without
 * React needs its types.
 */
declare module 'react' {
  type Deps = readonly unknown[]
  export function useState<T>(initial: T): [T, (value: T) => void]
  export function useRef<T>(initial: T): { current: T }
  export function useMemo<T>(make: () => T, deps: Deps): T
  export function useCallback<F>(callback: F, deps: Deps): F
  // biome-ignore lint/suspicious/noConfusingVoidType: an effect may return nothing.
  export function useEffect(effect: () => (() => void) | void, deps?: Deps): void
  export function useSyncExternalStore<T>(
    subscribe: (changed: () => void) => () => void,
    get: () => T,
    getOnServer?: () => T,
  ): T
}
