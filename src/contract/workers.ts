/** What workers of one instance ask each other, over their supervisor. */

/** The ports on which all workers listen. */
export interface Ports {
  readonly port: number
  readonly adminPort?: number | undefined
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

/** The metrics of all workers. The page of the worker that asks goes with the question. */
export const METRICS = 'GET /metrics'
/** The endpoints whose answers hold counters, which must not fall when a worker ends. */
export const COUNTERS: ReadonlySet<string> = new Set([METRICS, 'GET /api/dashboard/metrics/websockets'])
