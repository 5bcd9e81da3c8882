import type { Report, Status } from '../preflight/check.ts'

const WORDS: Readonly<Record<Status, string>> = { pass: 'ok', warn: 'WARN', fail: 'FAIL', skipped: 'skip' }
/** ANSI foreground colours: green, yellow, red, grey. */
const COLOURS: Readonly<Record<Status, number>> = { pass: 32, warn: 33, fail: 31, skipped: 90 }
const TIME_WIDTH = 9
/** Columns for messages on a terminal that is too narrow for the other columns. */
const MIN_MESSAGE_WIDTH = 20

export interface TableOptions {
  /** Columns of the terminal. */
  readonly width: number
  readonly colours: boolean
}

/**
 * Formats a report for a terminal: one line per check, its remediation below, and the verdict last.
 */
export function tableOf({ checks, durationMs }: Report, { width, colours }: TableOptions): string {
  const names = Math.max(5, ...checks.map(({ name }) => name.length))
  const indent = 6 + names + 2 + TIME_WIDTH + 2
  const row = (state: string, name: string, time: string, message: string) =>
    `${state.padEnd(4)}  ${name.padEnd(names)}  ${time.padStart(TIME_WIDTH)}  ${message}`
  const lines = checks.flatMap(({ name, status, durationMs: ms, message, remediation }) => {
    const [first = '', ...more] = wrap(message, width - indent)
    const time = status === 'skipped' ? '-' : `${ms.toFixed(1)} ms`
    const head = row(WORDS[status], name, time, first)
    const hints = remediation === undefined ? [] : wrap(remediation, width - indent - 3)
    return [
      colours ? `\u001b[${COLOURS[status]}m${head.slice(0, 4)}\u001b[0m${head.slice(4)}` : head,
      ...more.map((line) => ' '.repeat(indent) + line),
      ...hints.map((line, i) => `${' '.repeat(indent)}${i === 0 ? '-> ' : '   '}${line}`),
    ]
  })
  const count = (status: Status) => checks.filter((each) => each.status === status).length
  const [failed, warned] = [count('fail'), count('warn')]
  const verdict = failed > 0 ? 'Not fit to launch' : warned > 0 ? 'Fit to launch, with warnings' : 'Fit to launch'
  const counts = `${count('pass')} ok, ${warned} warned, ${failed} failed, ${count('skipped')} skipped`
  const end = `${verdict}: ${counts}, in ${durationMs.toFixed(0)} ms.`
  return [row('', 'check', 'time', 'result, and -> what to do').trimEnd(), ...lines, '', end].join('\n')
}

/**
 * Splits text into lines of at most `width`; a longer word is broken. Control characters, which
 * could move the cursor, become spaces.
 */
function wrap(text: string, width: number): string[] {
  const room = Math.max(MIN_MESSAGE_WIDTH, width)
  const lines: string[] = []
  let line = ''
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it removes them
  for (const word of text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ').split(' ')) {
    if (line !== '' && line.length + 1 + word.length > room) {
      lines.push(line)
      line = ''
    }
    line = line === '' ? word : `${line} ${word}`
    for (; line.length > room; line = line.slice(room)) lines.push(line.slice(0, room))
  }
  return [...lines, line]
}
