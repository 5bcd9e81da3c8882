import { type DestinationStream, destination, type Logger as Pino, pino, stdTimeFunctions } from 'pino'

/** What the log of one socket says of it in every line. */
export interface LoggedConnection {
  readonly serial: number
  readonly subject: string
  readonly address: string
  readonly door: { readonly name: string; readonly subjectName: string }
}

/** JSON lines with RFC 3339 time. Never a payload and never a token: events name what happened, not what was said. */
export interface Logger extends Pino {
  /** A logger for one socket. It is made when there is something to say, since most sockets say three lines in their life. */
  connection(connection: LoggedConnection): Pino
  /** Writes out what is still in memory; for the end of the process. */
  flushSync(): void
}

/**
 * @param to where lines go; by default stdout, without waiting for it: a log line costs no system call of its own under load.
 */
export function createLogger(level: string, to?: DestinationStream): Logger {
  const out = to ?? destination({ dest: 1, sync: false })
  const root = pino(
    { level, timestamp: stdTimeFunctions.isoTime, base: null, formatters: { level: (label) => ({ level: label }) } },
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

/** The mark of this process in the ids of its sockets. */
export const instance = Math.random().toString(36).slice(2, 8).padEnd(6, '0')

/** An id no other instance gives: this process' mark and the number of the socket. */
export const connectionId = (serial: number): string => `${instance}-${serial.toString(36)}`

/** The number of the socket in an id that this process gave; undefined for all other texts. */
export function serialOf(id: string): number | undefined {
  const serial = Number.parseInt(id.slice(instance.length + 1), 36)
  return connectionId(serial) === id ? serial : undefined
}
