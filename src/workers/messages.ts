/** What the supervisor and its workers send each other over IPC, as JSON. */

import type { Ports, Question, WorkerAnswers, WorkerCall, WorkerResponse } from '../contract/workers.ts'

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
