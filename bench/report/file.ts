/** The file of a report. */
import { existsSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { Impossible } from '../scenario.ts'

/**
 * The whole path of a file that is named on the command line: npm runs scripts in the folder of the project, and tells in INIT_CWD where
 * somebody has typed it. Throws `Impossible` when nothing can be written there, which is better known before the first round.
 */
export function checkWritable(file: string): string {
  const path = resolve(process.env.INIT_CWD ?? '', file)
  try {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(partOf(path), '')
    rmSync(partOf(path))
    if (existsSync(path) && statSync(path).isDirectory()) throw new Error(`${path} is a folder`)
    return path
  } catch (error) {
    throw new Impossible(`the report cannot be written: ${(error as Error).message}`)
  }
}

/** Writes it at once: whoever looks at it meanwhile, or interrupts it, has the one before. */
export function writeWhole(path: string, text: string): void {
  writeFileSync(partOf(path), text)
  renameSync(partOf(path), path)
}

const partOf = (path: string): string => `${path}.part`
