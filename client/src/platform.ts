/**
 * What the client uses of its platform. Declared here and not taken from TypeScript's `dom`, so
 * that the same types serve browsers, Node, Deno, Bun and React Native.
 */

/** The part of a standard WebSocket that the client uses. */
export interface Socket {
  binaryType: string
  onopen: ((event: unknown) => void) | null
  onmessage: ((event: { data: unknown }) => void) | null
  onclose: ((event: { code: number; reason: string }) => void) | null
  onerror: ((event: unknown) => void) | null
  send(text: string): void
  close(code?: number, reason?: string): void
}

/** A constructor of standard WebSockets: the global one, or `ws` of npm. */
export type SocketClass = new (url: string, protocols: string[]) => Socket

/** Where a session keeps its cursor, for instance `sessionStorage`. */
export interface KeyValueStore {
  getItem(key: string): string | null
  setItem(key: string, value: string): void
  removeItem(key: string): void
}

type Listener = (event: { persisted?: boolean }) => unknown

interface Platform {
  WebSocket?: SocketClass
  sessionStorage?: KeyValueStore
  document?: {
    visibilityState: string
    addEventListener(name: string, f: Listener): void
    removeEventListener(name: string, f: Listener): void
  }
  addEventListener?(name: string, listener: Listener): void
  removeEventListener?(name: string, listener: Listener): void
}

const platform = globalThis as unknown as Platform

/** The platform's own WebSocket. Throws where it is missing, as on Node 20. */
export function socketClass(): SocketClass {
  if (platform.WebSocket) return platform.WebSocket
  throw new Error("No WebSocket here: pass { WebSocket } of the package 'ws'.")
}

/** The given store, or `sessionStorage`, where the platform has it and the page may use it. */
export function storeOf(option: KeyValueStore | null | undefined): KeyValueStore | null | undefined {
  try {
    return option === undefined ? platform.sessionStorage : option
  } catch {
    // Browsers throw where the user has forbidden storage.
    return undefined
  }
}

/**
 * Follows the page. Returns a function that ends that. Does nothing outside browsers.
 * @param wake the page became visible or is online again.
 * @param hide the page is about to go: for good, or (`true`) into the back-forward cache, which
 * takes no page with an open socket.
 * @param show the page came back from that cache.
 */
export function watchPage(wake: () => void, hide: (isCached?: boolean) => void, show: () => void): () => void {
  const { document } = platform
  const seen: Listener = () => {
    if (document?.visibilityState === 'visible') wake()
  }
  const own: readonly (readonly [string, Listener])[] = [
    ['online', wake],
    ['pagehide', ({ persisted }) => hide(persisted)],
    ['pageshow', ({ persisted }) => persisted && show()],
  ]
  const each = (call: 'addEventListener' | 'removeEventListener') => {
    document?.[call]('visibilitychange', seen)
    for (const [name, listener] of own) platform[call]?.(name, listener)
  }
  each('addEventListener')
  return () => each('removeEventListener')
}
