/** What the supervisor and its workers send each other over IPC, as JSON. */

/** The ports on which all workers listen. */
export interface Ports {
  readonly port: number
  readonly adminPort?: number | undefined
}

/** When a new worker listens. `soon`: when it is ready, or after a few seconds. */
export type ListenWhen = 'at-once' | 'soon' | 'ready'

/** What a worker needs to know at its start. */
export interface Begin {
  /** How many workers share the limits. */
  readonly workers: number
  readonly redisUrl: string
  /** Undefined: this worker is the first, and chooses the ports. */
  readonly ports?: Ports | undefined
  readonly listen: ListenWhen
  /** All workers accept it on the loopback path of the preflight check. */
  readonly secret: string
}

/** From the supervisor to a worker. The second `stop` cuts all sockets. */
export type Order =
  | { readonly order: 'begin'; readonly begin: Begin }
  | { readonly order: 'stop' }
  /** Another worker has taken its place: stop, but refuse no upgrade for it. */
  | { readonly order: 'retire' }

/** From a worker to the supervisor. */
export type Word = { readonly word: 'listening'; readonly ports: Ports }
