import { clearLine, cursorTo, type Interface, moveCursor } from 'node:readline'
import type { WriteStream } from 'node:tty'

/** ANSI colours by what a line is: received, sent, a note about the connection. */
const COLOURS = { received: 36, sent: 32, note: 90 } as const
const ARROWS = { received: '←', sent: '→', note: '·' } as const
const PROMPT = '> '

/**
 * Prints the frames of one client. A pipe gets each received frame as a line of stdout, and each
 * note as a line of stderr. A terminal gets times, arrows and colours, also for what is
 * sent, and keeps the line that the user types at the bottom.
 */
export class FramePrinter {
  readonly onTerminal = process.stdout.isTTY === true
  readonly #colours = this.onTerminal && process.stdout.hasColors()
  #prompt: Interface | undefined

  /** Uses this interface for the prompt from now on; it must read from and write to a terminal. */
  promptWith(input: Interface): void {
    this.#prompt = input
    input.setPrompt(PROMPT)
    input.prompt()
  }

  received(frame: string): void {
    if (this.onTerminal) this.#line('received', printable(frame))
    else console.log(printable(frame))
  }

  /** On a terminal, replaces the line that the user typed; a pipe shows nothing. */
  sent(frame: string): void {
    if (!this.onTerminal) return
    if (this.#prompt) eraseTyped(process.stdout, frame)
    this.#line('sent', printable(frame))
  }

  note(text: string): void {
    if (this.onTerminal) this.#line('note', printable(text))
    else console.error(printable(text))
  }

  #line(kind: keyof typeof COLOURS, text: string): void {
    const head = `${timeOf(new Date())} ${ARROWS[kind]}`
    if (this.#prompt) {
      cursorTo(process.stdout, 0)
      clearLine(process.stdout, 0)
    }
    const line = `${head} ${text}`
    process.stdout.write(`${this.#colours ? `\u001b[${COLOURS[kind]}m${line}\u001b[0m` : line}\n`)
    this.#prompt?.prompt(true)
  }
}

/** The time of day with milliseconds, in the zone of this machine. */
const timeOf = (at: Date): string =>
  [at.getHours(), at.getMinutes(), at.getSeconds()].map((each) => String(each).padStart(2, '0')).join(':') +
  `.${String(at.getMilliseconds()).padStart(3, '0')}`

/** Moves the cursor above the typed line, which has wrapped where it is wider than the terminal. */
function eraseTyped(out: WriteStream, typed: string): void {
  const rows = Math.ceil((PROMPT.length + typed.length) / (out.columns || 80))
  moveCursor(out, 0, -rows)
  cursorTo(out, 0)
  out.clearScreenDown()
}

/**
 * Returns text of the server as one line that cannot steer the terminal: without control characters
 * (C0 except the tab, DEL, C1), and with a space for each line break. JSON that an encoder wrote
 * stays the same JSON: it holds line breaks only between its parts, and other C0 characters never.
 */
export function printable(text: string): string {
  return text.replace(/\r\n|[\r\n]/g, ' ').replace(CONTROL, '')
}
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to remove.
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g
