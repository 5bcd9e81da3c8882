import type { Reply } from './values.ts'

interface FailureWaiter {
  /**
   * `ErrorReply`: Redis refused. `Unsent`: Redis has never seen the command. Any other error: the
   * outcome is unknown.
   */
  failed(error: Error): void
}

/** Waits for the reply to a command. */
export interface ReplyWaiter extends FailureWaiter {
  /** Buffers in `reply` are views that are only valid during the call. */
  answered(reply: Reply): void
}

/** Waits for pushes: the confirmations of a subscription. */
export interface PushWaiter extends FailureWaiter {
  /**
   * Returns true for the last push that it waits for, false for an earlier one, undefined for a
   * push of another command. `first` is the first value of the push: a channel.
   */
  pushed(kind: string, first: string): boolean | undefined
}

/**
 * Waits for the outcome of one command. The connection calls it once, in the order of the commands,
 * and never from within `submit`. When the connection ends, it calls the waiters after the `error`
 * listener.
 */
export type Waiter = ReplyWaiter | PushWaiter

export const isReplyWaiter = (waiter: Waiter | undefined): waiter is ReplyWaiter =>
  waiter !== undefined && 'answered' in waiter

/**
 * Deferred with setImmediate: a failed waiter may submit again at once and must already see the
 * link as lost.
 */
export function failAll(waiting: readonly (Waiter | undefined)[], error: Error): void {
  if (waiting.length === 0) return
  setImmediate(() => {
    for (const waiter of waiting) {
      try {
        waiter?.failed(error)
      } catch (fault) {
        rethrowLater(fault)
      }
    }
  })
}

/**
 * Rethrows on the next tick: a waiter's bug becomes an uncaughtException and does not break the
 * connection.
 */
export function rethrowLater(fault: unknown): void {
  process.nextTick(() => {
    throw fault
  })
}
