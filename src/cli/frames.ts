import { clearLine, cursorTo, type Interface, moveCursor } from 'node:readline'
import type { WriteStream } from 'node:tty'
import { printable, timeOfDay } from '../platform/printable.ts'

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
    const head = `${timeOfDay(new Date())} ${ARROWS[kind]}`
    if (this.#prompt) {
      cursorTo(process.stdout, 0)
      clearLine(process.stdout, 0)
    }
    const line = `${head} ${text}`
    process.stdout.write(`${this.#colours ? `\u001b[${COLOURS[kind]}m${line}\u001b[0m` : line}\n`)
    this.#prompt?.prompt(true)
  }
}

/** Moves the cursor above the typed line, which has wrapped where it is wider than the terminal. */
function eraseTyped(out: WriteStream, typed: string): void {
  const rows = Math.ceil((PROMPT.length + typed.length) / (out.columns || 80))
  moveCursor(out, 0, -rows)
  cursorTo(out, 0)
  out.clearScreenDown()
}
