import type { Connection } from '../../connection/connection.ts'
import type { FrameErrorCode } from '../../contract/codes.ts'
import type { Reader } from '../../sessions/logged.ts'
import type { TraceContext } from '../../telemetry/trace-context.ts'

/** Reports the outcome of a numbered client frame. */
export type Done = (outcome: number | FrameErrorCode) => void

/** Publishes the frames of one client, in order. */
export interface UpstreamPublisher {
  /**
   * Takes ownership of `frame`: the caller must not write to it any more. Calls `done` with the
   * number of subscribers, or with the reason why the frame was not published.
   */
  publish(frame: Buffer, handshake: TraceContext | undefined, done?: Done): void
}

/** What the session door keeps for each socket. */
export class SessionState {
  readonly agentId: string
  /** Undefined for a client of `wsproxy.v1`. */
  readonly reader: Reader | undefined
  /** Made with the first client frame, since most clients only listen. */
  publisher: UpstreamPublisher | undefined

  constructor(agentId: string, reader: Reader | undefined) {
    this.agentId = agentId
    this.reader = reader
  }
}

export const stateOf = (connection: Connection): SessionState => connection.doorState as SessionState

/** What a socket of `wsproxy.v2` has of the log of its session. */
export const readerOf = (connection: Connection): Reader | undefined => stateOf(connection).reader
