import type { Kept } from './kept.ts'
import type { KeyValueStore, SocketClass } from './platform.ts'

/** A token, or a function that returns one; it is called before each dial. */
export type Token = string | (() => string | Promise<string>)

/** Where a connection stands. Times are in milliseconds. */
export type State =
  | { readonly name: 'connecting' }
  | { readonly name: 'open' }
  /** No connection; the next dial comes after `ms`. `code` is that of the last close. */
  | { readonly name: 'waiting'; readonly ms: number; readonly code: number; readonly reason: string }
  /** The end: the client does not dial again. */
  | { readonly name: 'closed'; readonly code: number; readonly reason: string }

/** Options that every connection takes. */
export interface LinkOptions {
  /** Without one the client brings no credentials. */
  readonly token?: Token | undefined
  /** The WebSocket to use; by default the platform's. Node 20 has none: pass that of `ws`. */
  readonly WebSocket?: SocketClass | undefined
  /**
   * Keeps over a reload of the page that no WebSocket opened; by default `sessionStorage`, where
   * the platform has it. `null` keeps nothing.
   */
  readonly storage?: KeyValueStore | null | undefined
}

/** What the owner of a link decides and gets. */
export interface LinkOwner {
  /** The address of the next dial. */
  url(): string
  /** The subprotocols of the next dial, without the token. */
  readonly protocols: readonly string[]
  /**
   * Has its resume ticket: while that is surely valid, no token is asked for, and afterwards it
   * stands in where there is no token. It is saved before the page goes.
   */
  readonly kept?: Kept
  /** The class of `sse.ts` that stands in for WebSockets where none opens. */
  readonly fallback?: 'SessionEvents' | 'LiveEvents'
  /** The upgrade is complete; the server may still refuse. */
  opened?(): void
  /** A text frame, or bytes. */
  received(data: string | Uint8Array): void
  /** The socket is gone, for whatever reason; another may follow. */
  lost?(): void
  state(state: State): void
}
