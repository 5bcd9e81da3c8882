import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { passwordProblem } from '../login/passwords.ts'
import { Misused } from './failure.ts'

/**
 * Reads a new password: twice from a terminal, which does not show it, else the first line of
 * stdin. It is never an argument, which the list of processes shows. @throws Misused.
 */
export async function newPassword(): Promise<string> {
  const password = process.stdin.isTTY ? await typedTwice() : await firstLine()
  const problem = passwordProblem(password)
  if (problem !== undefined) throw new Misused(`the password ${problem}`)
  return password
}

async function typedTwice(): Promise<string> {
  const password = await typed('Password: ')
  if ((await typed('Again: ')) !== password) throw new Misused('the two passwords differ')
  return password
}

/** Reads a line that the terminal does not show. */
function typed(prompt: string): Promise<string> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true })
  // From here on the terminal does not show what is typed.
  process.stderr.write(prompt)
  return new Promise<string>((resolve, reject) => {
    lines.once('line', resolve)
    lines.once('close', () => reject(new Misused('no password was given')))
  }).finally(() => {
    lines.close()
    process.stderr.write('\n')
  })
}

async function firstLine(): Promise<string> {
  for await (const line of createInterface({ input: process.stdin })) return line
  throw new Misused('no password was given: type it at a terminal, or give it as the first line of stdin')
}
