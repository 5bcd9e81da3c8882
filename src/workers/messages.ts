/** What the supervisor and its workers send each other over IPC, as JSON. */

/** The ports on which all workers listen. */
export interface Ports {
  readonly port: number
  readonly adminPort?: number | undefined
}

/**
 * When a new worker listens. `together`: with the others, when all of them are prepared, so that
 * the first one does not get all clients. `soon`: when it is ready, or after a few seconds.
 */
export type ListenWhen = 'together' | 'soon' | 'ready'

/** What a worker needs to know at its start. */
export interface Begin {
  /** How many workers share the limits. */
  readonly workers: number
  readonly redisUrl: string
  /** Of the workers that listen already. */
  readonly ports?: Ports | undefined
  readonly listen: ListenWhen
  /** All workers accept it on the loopback path of the preflight check. */
  readonly secret: string
}

/** A call of an endpoint that one worker passes on to the others. */
export interface WorkerCall {
  /** Method and path of the endpoint. */
  readonly route: string
  readonly request: unknown
}

/** What an endpoint answered. */
export interface WorkerResponse {
  readonly status: string
  readonly type: string
  readonly body: string
}

/** A worker and its answer; undefined when it did not answer in time. */
export interface WorkerAnswer {
  readonly worker: number
  readonly response?: WorkerResponse | undefined
}

/** What only the supervisor knows. */
export interface WorkersState {
  /** How many workers there should be. */
  readonly wanted: number
  /** How many of them do not listen, or did not answer. */
  readonly missing: number
  /** Whether the worker that asks is not being replaced. */
  readonly isCurrent: boolean
  /** When the supervisor started, in ms since the epoch. */
  readonly startedAt: number
  /** Workers that ended although they should have gone on. */
  readonly restarts: number
  /** The counters of workers that have ended, and of silent ones, as pages of metrics. */
  readonly former: readonly string[]
}

/** What a worker learns from the others. */
export interface WorkerAnswers {
  readonly answers: readonly WorkerAnswer[]
  readonly state: WorkersState
}

/** A question to all other workers. */
export interface Question {
  readonly call: WorkerCall
  /** Workers that need longer are left out, in ms. */
  readonly withinMs: number
  /** The page of metrics of the worker that asks, where the question is about metrics. */
  readonly page?: string | undefined
}

/** From the supervisor to a worker. */
export type Order =
  | { readonly order: 'begin'; readonly begin: Begin }
  /** Without ports this worker is the first, and chooses them. */
  | { readonly order: 'listen'; readonly ports?: Ports | undefined }
  /** The second one cuts all sockets. */
  | { readonly order: 'stop' }
  /** Another worker has taken its place: stop, but refuse no upgrade for it. */
  | { readonly order: 'retire' }
  | { readonly order: 'answer'; readonly id: number; readonly call: WorkerCall }
  | { readonly order: 'answers'; readonly id: number; readonly all: WorkerAnswers }
  | { readonly order: 'ping' }

/** From a worker to the supervisor. */
export type Word =
  | { readonly word: 'prepared' }
  | { readonly word: 'listening'; readonly ports: Ports }
  | { readonly word: 'ask'; readonly id: number; readonly question: Question }
  | { readonly word: 'answer'; readonly id: number; readonly response: WorkerResponse | undefined }
  | { readonly word: 'pong' }
  /** Its last page of metrics. */
  | { readonly word: 'last'; readonly page: string }
