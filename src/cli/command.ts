import { environment } from '../config/env.ts'
import { ConfigError } from '../config/load.ts'
import { secretsIn } from '../config/secrets.ts'
import { reasonOf } from '../platform/reason.ts'
import { protect, redact } from '../platform/redact.ts'
import { CommandFailed, Misused } from './failure.ts'

/** Exit status: 0 done, 1 a failure at run time, 2 bad arguments or a bad configuration. */
const DONE = 0
const FAILED = 1
const MISUSED = 2

protect(secretsIn(environment()))
const printError = process.stderr.write.bind(process.stderr) as (
  text: string | Uint8Array,
  ...rest: unknown[]
) => boolean
// Every error that any part of the program prints passes here.
process.stderr.write = ((text: string | Uint8Array, ...rest: unknown[]) =>
  printError(typeof text === 'string' ? redact(text) : text, ...rest)) as typeof process.stderr.write

// A closed pipe ("| head") is not a fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
})

/** A start of the gateway needs none of the commands, and no parser of their words. */
async function run(): Promise<number> {
  const [command, ...rest] = process.argv.slice(2)
  if (command === 'worker') {
    await (await import('./worker.ts')).worker(Number(rest[0]))
    return DONE
  }
  if (command !== 'serve' || rest.length > 0) return (await (await import('./program.ts')).run()) ? DONE : MISUSED
  await (await import('./serve.ts')).serve()
  return DONE
}

// Not awaited at the top level, which a module of CommonJS does not have (tools/bundle.mjs).
run().then(
  (status) => {
    if (status !== DONE) process.exitCode = status
  },
  (error: unknown) => {
    process.exitCode = statusOf(error)
  },
)

function statusOf(error: unknown): number {
  if (error instanceof ConfigError) {
    for (const problem of error.problems) console.error(problem)
    return MISUSED
  }
  if (error instanceof Misused) {
    console.error(reasonOf(error))
    return MISUSED
  }
  const isExpected = error instanceof Error && (error instanceof CommandFailed || error.name === 'NativeBinaryError')
  console.error(isExpected || !(error instanceof Error) ? reasonOf(error) : error)
  return FAILED
}
