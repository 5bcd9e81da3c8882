#!/usr/bin/env -S node --max-semi-space-size=4
import { Command, CommanderError } from 'commander'
import { ConfigError } from '../config/load.ts'
import { CommandFailed, Misused } from './failure.ts'

/** Exit status: 0 done, 1 a failure at run time, 2 bad arguments or a bad configuration. */
const FAILED = 1
const MISUSED = 2

const program = new Command('wsproxy')
  .description('A WebSocket gateway in front of Redis. Settings come from environment variables: see "wsproxy config".')
  .showHelpAfterError('(--help tells what is possible)')
  .exitOverride()

program
  .command('serve')
  .description('run the gateway until SIGTERM or SIGINT, then drain it; a second signal cuts at once')
  .action(async () => (await import('./serve.ts')).serve())

program
  .command('health')
  .description('ask the gateway that runs here (LISTEN_ADDR) for its /health; for the HEALTHCHECK of a container')
  .option('--alive', 'answering is enough, also when Redis is away: a restart would not bring it back', false)
  .action(async (options) => (await import('./health.ts')).health(options))

program
  .command('connect')
  .description('connect as a client: frames are printed, lines of stdin are sent')
  .argument('<url>', 'for example ws://127.0.0.1:8080/agent-1/ws/session-1')
  .option('-t, --token <token>', 'bearer token; better given in WSPROXY_TOKEN, which no process list shows')
  .option('-o, --origin <origin>', 'Origin header, as a browser would send it')
  .option('--close-on-eof', 'close when stdin ends, also when it is not a terminal', false)
  .action(async (url, options) => (await import('./connect.ts')).connect(url, options))

program
  .command('publish')
  .description('publish one JSON message to the clients of a session, as its agent would')
  .argument('<session>', 'session id')
  .argument('<json>', 'the message, or - for every line of stdin')
  .action(async (session, json) => (await import('./publish.ts')).publish(session, json))

const token = program.command('token').description('tokens with which clients enter sessions')
token
  .command('create')
  .description('make a token for a session, keep it in Redis and print it')
  .argument('<session>', 'session id')
  .option('--ttl <duration>', 'life of the token: seconds, or 90s, 5m, 1h', '60s')
  .action(async (session, options) => (await import('./token.ts')).create(session, options))

program
  .command('doctor')
  .description(
    'check whether the gateway and what it depends on are fit to launch, and say what to do where they are not',
  )
  .option('--session <id>', 'also: this session has a token and an agent that listens')
  .option('--run <id>', 'the run that is about to be launched')
  .option('--agent <id>', 'the agent that is about to be launched')
  .option('--event-type <type>', 'also: this type of event is enabled')
  .option('--campaign <id>', 'also, with --event-type: this campaign has no cooldown')
  .option('--json', 'the report as JSON')
  .action(async (options) => {
    await (await import('./doctor.ts')).doctor(options)
    // What a check has left running, or Sentry has not taken, does not hold us.
    process.stdout.write('', () => process.exit())
  })

program
  .command('config')
  .description('print the effective settings and where each value comes from')
  .option('--json', 'as JSON')
  .option('--markdown', 'all settings that there are, as the table of the README')
  .action(async (options) => (await import('./config.ts')).config(options))

// Who reads no more ("| head") is no fault of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
})

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = statusOf(error)
}

function statusOf(error: unknown): number {
  // Commander has printed its message already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : MISUSED
  if (error instanceof ConfigError) {
    for (const problem of error.problems) console.error(problem)
    return MISUSED
  }
  if (error instanceof Misused) {
    console.error(error.message)
    return MISUSED
  }
  const told = error instanceof Error && (error instanceof CommandFailed || error.name === 'NativeBinaryError')
  console.error(told ? error.message : error)
  return FAILED
}
