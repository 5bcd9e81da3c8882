/** The report file. */
import { existsSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { Impossible } from '../scenario.ts'

/**
 * Resolves a path from the command line. npm runs scripts in the project's folder and passes the
 * user's folder in INIT_CWD. Throws `Impossible` when the file cannot be written, so that the user
 * learns it before the first round.
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

/** Replaces the file in one step: a reader always sees a complete report. */
export function writeWhole(path: string, text: string): void {
  writeFileSync(partOf(path), text)
  renameSync(partOf(path), path)
}

const partOf = (path: string): string => `${path}.part`
