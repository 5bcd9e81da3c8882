import { type DestinationStream, type Logger as Pino, pino, stdSerializers, stdTimeFunctions } from 'pino'
import { asError, reasonOf } from '../platform/reason.ts'
import { redact } from '../platform/redact.ts'
import { LogOutput } from './log-output.ts'

/** The fields of a socket in each of its log lines. */
interface LoggedConnection {
  readonly serial: number
  readonly subject: string
  readonly address: string
  readonly door: { readonly name: string; readonly subjectName: string }
}

/**
 * Writes JSON lines with RFC 3339 times. A line never has a payload or a token: it names the event,
 * not the content.
 */
export interface Logger extends Pino {
  /**
   * Makes a logger for one socket. Callers make it per line, since most sockets write three lines
   * in their life.
   */
  connection(connection: LoggedConnection): Pino
  /**
   * Resolves when the lines in memory are written, or after `timeoutMs`. Called at the end of the
   * process.
   */
  flushWithin(timeoutMs: number): Promise<void>
  /** Lines that were dropped since the start, because their reader had stopped. */
  droppedLines(): number
}

/**
 * @param to receives the lines. Default: stdout, written asynchronously and in batches, so that
 * under load a line costs no system call of its own.
 * @param worker the number of this process among those that share the output.
 */
export function createLogger(level: string, to?: DestinationStream, worker?: number): Logger {
  const output = to === undefined ? standardOutput((lines) => dropped(root, lines), worker !== undefined) : undefined
  const root = pino(
    {
      level,
      timestamp: stdTimeFunctions.isoTime,
      base: worker === undefined ? null : { worker },
      serializers: { err: describedError },
      formatters: { level: (label) => ({ level: label }) },
      hooks: { streamWrite: redact },
    },
    to ?? output!,
  )
  return Object.assign(root, {
    connection: ({ door, serial, subject, address }: LoggedConnection) =>
      root.child({ conn: { door: door.name, id: connectionId(serial), [door.subjectName]: subject, remote: address } }),
    flushWithin: async (timeoutMs: number) => output?.flushWithin(timeoutMs),
    droppedLines: () => output?.dropped ?? 0,
  })
}

/** An error as the log shows it. Its message is never empty, and any thrown value is described. */
function describedError(thrown: unknown): object {
  const error = asError(thrown)
  const shown = stdSerializers.err(error)
  return /[^\s:]/.test(shown.message) ? shown : { ...shown, message: reasonOf(error) }
}

function standardOutput(resumed: (lines: number) => void, isShared: boolean): LogOutput {
  // Node makes a pipe non-blocking when process.stdout is first read. A write that blocks would
  // hold a thread of the pool, and the end of the process waits for those threads.
  const { fd } = process.stdout
  return new LogOutput(fd, { resumed, isShared })
}

const dropped = (log: Pino, lines: number): void =>
  log.warn({ event: 'log-dropped', lines }, 'the reader of the log had stopped, or its disk was full')

/** The mark of this process in the ids of its sockets: 6 letters or digits. */
export const instance = Math.random().toString(36).slice(2, 8).padEnd(6, '0')

/** An id that no other instance gives: the mark of this process and the number of the socket. */
export const connectionId = (serial: number): string => `${instance}-${serial.toString(36)}`

/** The number of the socket in an id of this process; undefined for every other text. */
export function serialOf(id: string): number | undefined {
  const serial = Number.parseInt(id.slice(instance.length + 1), 36)
  return connectionId(serial) === id ? serial : undefined
}
