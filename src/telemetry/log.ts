import { type DestinationStream, destination, type Logger as Pino, pino, stdTimeFunctions } from 'pino'
import { redact } from '../platform/redact.ts'

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
  /** Writes the lines that are still in memory. Called at the end of the process. */
  flushSync(): void
}

/**
 * @param to receives the lines. Default: stdout, written asynchronously, so that under load a line
 * costs no system call of its own.
 */
export function createLogger(level: string, to?: DestinationStream): Logger {
  const out = to ?? destination({ dest: 1, sync: false })
  const root = pino(
    {
      level,
      timestamp: stdTimeFunctions.isoTime,
      base: null,
      formatters: { level: (label) => ({ level: label }) },
      hooks: { streamWrite: redact },
    },
    out,
  )
  return Object.assign(root, {
    connection: ({ door, serial, subject, address }: LoggedConnection) =>
      root.child({ conn: { door: door.name, id: connectionId(serial), [door.subjectName]: subject, remote: address } }),
    flushSync: () => {
      if ('flushSync' in out) (out as { flushSync(): void }).flushSync()
    },
  })
}

/** The mark of this process in the ids of its sockets: 6 letters or digits. */
export const instance = Math.random().toString(36).slice(2, 8).padEnd(6, '0')

/** An id that no other instance gives: the mark of this process and the number of the socket. */
export const connectionId = (serial: number): string => `${instance}-${serial.toString(36)}`

/** The number of the socket in an id of this process; undefined for every other text. */
export function serialOf(id: string): number | undefined {
  const serial = Number.parseInt(id.slice(instance.length + 1), 36)
  return connectionId(serial) === id ? serial : undefined
}
