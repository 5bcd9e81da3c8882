/**
 * Progress lines on stderr: `[ 3/24  41 s] stream-paced 1/3 ours: ...`. A terminal also shows the
 * round under way.
 */
import type { Progress } from '../rounds.ts'

const CLEAR_LINE = '\r\x1b[K'

/** @param total the number of rounds in the whole run. */
export function progressLines(total: number, output: NodeJS.WriteStream): Progress {
  const startedAt = performance.now()
  let done = 0
  const head = (number: number) => {
    const seconds = String(Math.round((performance.now() - startedAt) / 1000)).padStart(3)
    return `[${String(number).padStart(String(total).length)}/${total} ${seconds} s]`
  }
  const clear = output.isTTY ? CLEAR_LINE : ''
  return {
    begins: (what) => {
      if (output.isTTY) output.write(`${clear}${head(done + 1)} ${what} ...`)
    },
    ended: (what, how) => void output.write(`${clear}${head(++done)} ${what}: ${how}\n`),
  }
}
