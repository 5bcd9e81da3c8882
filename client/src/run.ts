import { segment, socketBase } from './address.ts'
import { Emitter } from './events.ts'
import { Link } from './link.ts'
import type { LinkOptions, State } from './link-owner.ts'

/** Options of {@link run}. */
export interface RunOptions extends LinkOptions {
  /** The run's id. */
  readonly id: string
  /** Where the run door lies, as `RUN_PATH` of the gateway; by default `/`. */
  readonly path?: string | undefined
}

/** What a run says. */
export interface RunEvents {
  /** The checklist has changed, or has arrived. `changed` has the keys that differ from before. */
  change: { readonly checklist: Readonly<Record<string, boolean>>; readonly changed: readonly string[] }
  state: State
}

interface Frame {
  readonly type: string
  readonly checklist: Readonly<Record<string, boolean>>
  readonly lock_statuses: Readonly<Record<string, unknown>>
  readonly last_modified?: number
}

/** A connection to the checklist of one run. See {@link run}. */
export class Run extends Emitter<RunEvents> {
  readonly #link: Link
  #checklist: Readonly<Record<string, boolean>> = {}
  #locks: Readonly<Record<string, unknown>> = {}
  #lastModified: number | undefined

  constructor(base: string | URL, options: RunOptions) {
    super()
    const url = `${socketBase(base)}${options.path ?? '/'}${segment('id', options.id)}`
    this.#link = new Link(
      {
        protocols: options.token === undefined ? [] : ['wsproxy.v1'],
        url: () => url,
        opened: () => this.#link.send('{"type":"init"}'),
        received: (data) => this.#received(JSON.parse(String(data))),
        state: (state) => this.emit('state', state),
      },
      options,
    )
  }

  get state(): State {
    return this.#link.state
  }

  /** Every key of the checklist, true or false; empty until it has arrived. */
  get checklist(): Readonly<Record<string, boolean>> {
    return this.#checklist
  }

  /** The fields `locked:<name>` of the run, by name. */
  get locks(): Readonly<Record<string, unknown>> {
    return this.#locks
  }

  /** Unix seconds of the newest change; undefined for a run without time stamps. */
  get lastModified(): number | undefined {
    return this.#lastModified
  }

  close(): void {
    this.#link.close(1000, 'closed by the client')
  }

  #received(frame: Frame): void {
    // The gateway closes a client from which it hears nothing; a browser's own pongs do not count.
    if (frame.type === 'ping') return this.#link.send('{"type":"pong"}')
    if (frame.type !== 'preflight') return
    const before = this.#checklist
    const { checklist } = frame
    this.#checklist = checklist
    this.#locks = frame.lock_statuses
    this.#lastModified = frame.last_modified
    this.emit('change', { checklist, changed: Object.keys(checklist).filter((key) => checklist[key] !== before[key]) })
  }
}

/** Follows the readiness checklist of a run, over lost networks and deploys. */
export const run = (base: string | URL, options: RunOptions): Run => new Run(base, options)
