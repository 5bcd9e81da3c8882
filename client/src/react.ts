/** Hooks for React 18 and later: a connection lives for as long as a component is mounted. */
import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react'
import {
  type Live,
  type Message,
  type Run,
  type RunOptions,
  run,
  type Session,
  type SessionOptions,
  type State,
  session,
  type TopicMessage,
} from './index.ts'
import type { Offline, OfflineState } from './offline/index.ts'

const CONNECTING: State = { name: 'connecting' }

/** What {@link useSession} returns. */
export interface SessionView {
  readonly state: State
  /** Sends and cancels; undefined until the effects of the first render have run. */
  readonly session: Session | undefined
}

/** What {@link useRun} returns. */
export interface RunView {
  readonly state: State
  /** Every key of the checklist, true or false; empty until it has arrived. */
  readonly checklist: Readonly<Record<string, boolean>>
  /** The fields `locked:<name>` of the run, by name. */
  readonly locks: Readonly<Record<string, unknown>>
}

/** Returns a box with the newest value, for functions that outlive the render that made them. */
function useNewest<T>(value: T): { readonly current: T } {
  const box = useRef(value)
  useEffect(() => {
    box.current = value
  })
  return box
}

/** The options with a token function that always asks the one of the newest render. */
function askNewest<O extends SessionOptions | RunOptions>(newest: { readonly current: O }): O {
  const ask = (): string | Promise<string> => {
    const { token } = newest.current
    return typeof token === 'function' ? token() : (token ?? '')
  }
  const { token } = newest.current
  return typeof token === 'function' ? { ...newest.current, token: ask } : newest.current
}

/**
 * Opens a session while the component is mounted, and opens another one when the address or the
 * ids change. `hear` gets each message. The cursor stays kept when the component goes: a component
 * that does not store the messages itself passes `storage: null` and `from: 'start'`.
 */
export function useSession(base: string, options: SessionOptions, hear: (message: Message) => void): SessionView {
  const newest = useNewest(options)
  const newestHear = useNewest(hear)
  const [view, setView] = useState<SessionView>({ state: CONNECTING, session: undefined })
  const { agent, id, from } = options
  // biome-ignore lint/correctness/useExhaustiveDependencies: the boxes are stable and hold ids.
  useEffect(() => {
    const opened = session(base, askNewest(newest))
    opened.on('message', (message) => newestHear.current(message))
    const show = (state: State) => setView({ state, session: opened })
    const stop = opened.on('state', show)
    show(opened.state)
    return () => {
      stop()
      opened.close({ keep: true })
    }
  }, [base, agent, id, from])
  return view
}

/**
 * Returns the newest message of a topic; undefined until one has come. Components that use the same
 * topic share one subscription, and the last that goes ends it.
 */
export function useTopic(hub: Live, topic: string): TopicMessage | undefined {
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new topic needs a new box.
  const box = useMemo<{ newest?: TopicMessage }>(() => ({}), [hub, topic])
  const subscribe = useCallback(
    (changed: () => void) =>
      hub.subscribe(topic, (message) => {
        box.newest = message
        changed()
      }),
    [hub, topic, box],
  )
  const newest = () => box.newest
  return useSyncExternalStore(subscribe, newest, newest)
}

/** Follows the checklist of a run while the component is mounted. */
export function useRun(base: string, options: RunOptions): RunView {
  const newest = useNewest(options)
  const [view, setView] = useState<RunView>({ state: CONNECTING, checklist: {}, locks: {} })
  const { id, path } = options
  // biome-ignore lint/correctness/useExhaustiveDependencies: the box is stable and holds the id.
  useEffect(() => {
    const opened: Run = run(base, askNewest(newest))
    const show = () => setView({ state: opened.state, checklist: opened.checklist, locks: opened.locks })
    const stops = [opened.on('change', show), opened.on('state', show)]
    show()
    return () => {
      for (const stop of stops) stop()
      opened.close()
    }
  }, [base, id, path])
  return view
}

/** Returns where an outbox stands, and how many changes wait to be published. */
export function useOutbox(box: Offline): OfflineState {
  const subscribe = useCallback((changed: () => void) => box.on('state', changed), [box])
  const state = () => box.state
  return useSyncExternalStore(subscribe, state, state)
}
