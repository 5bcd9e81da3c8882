import { Command, CommanderError } from 'commander'
import { VERSION } from '../platform/version.ts'
import { addExamples } from './examples.ts'

const program = new Command('wsproxy')
  .description('A WebSocket gateway in front of Redis. Settings come from environment variables: see "wsproxy config".')
  .version(VERSION, '-V, --version', 'print the version')
  .showHelpAfterError('run with --help for usage')
  .exitOverride()

program
  .command('serve')
  .description(
    'run the gateway until SIGTERM, SIGINT, SIGHUP or SIGQUIT, then drain it; a second signal closes all sockets at once',
  )
  .action(async () => (await import('./serve.ts')).serve())

program
  .command('health')
  .description('print /health of the gateway at LISTEN_ADDR, for the HEALTHCHECK of a container')
  .option('--alive', 'accept any response, also while Redis is away, which a restart would not mend', false)
  .action(async (options) => (await import('./health.ts')).health(options))

program
  .command('connect')
  .description('connect as a client: print each frame, send each line of stdin')
  .argument('<url>', 'for example ws://127.0.0.1:8080/agent-1/ws/session-1')
  .option('-t, --token <token>', 'bearer token; prefer WSPROXY_TOKEN, which does not show in a process list')
  .option('-c, --create-token', 'create a token for the session in Redis first, as "wsproxy token create" does', false)
  .option('-o, --origin <origin>', 'Origin header, as a browser sends it')
  .option('--close-on-eof', 'close when stdin ends, even if it is not a terminal', false)
  .option('-r, --reconnect', 'reconnect when the server says so, else after a pause that doubles', false)
  .option('--resume', 'speak wsproxy.v2: come back behind the newest message, so that none is missed', false)
  .action(async (url, options) => (await import('./connect.ts')).connect(url, options))

program
  .command('publish')
  .description('publish one JSON message to the clients of a session or a topic, or set fields of a run')
  .argument(
    '<words...>',
    'a session and its message, or - for each line of stdin; with --run: a run and field=value ...',
  )
  .option('--topic', 'the first word is a topic of the live door', false)
  .option('--run', 'the first word is a run', false)
  .option('--log', 'number the message and keep it in the log of the session, for clients of wsproxy.v2', false)
  .option('--flags <words>', 'with --log: snapshot, close, ephemeral or sharded, with commas between them', '')
  .option('--last <life>', 'with --topic: keep it so long as the last message of the topic (LIVE_LAST)', '')
  .action(async (words, options) => (await import('./publish.ts')).publish(words, options))

program
  .command('disconnect')
  .description('close the sockets of a session, a run, a subject or an address on every instance, and print how many')
  .option('--session <id>', 'the clients of this session')
  .option('--run <id>', 'the clients of this run')
  .option('--subject <sub>', 'the clients whose JWT has this sub, at all doors')
  .option('--address <ip>', 'the clients of this IP address, or of a network such as 2001:db8::/64')
  .option('--reconnect', 'leave the resume tickets of the session, or the JWTs of the subject, valid')
  .option('--gateway <url>', 'where a gateway takes admin calls; default: the gateway of this machine')
  .action(async (options) => (await import('./disconnect.ts')).disconnect(options))

program
  .command('heap')
  .description('have the gateway of this machine write a heap snapshot (SIGUSR2), and print its file')
  .action(async () => (await import('./heap.ts')).heap())

const token = program.command('token').description('tokens that admit clients to sessions')
token
  .command('create')
  .description('create a token for a session, store it in Redis and print it')
  .argument('<session>', 'session id')
  .option('--ttl <duration>', 'lifetime of the token: seconds, or 90s, 5m, 1h', '60s')
  .option('--add', 'keep the other tokens of the session: each admits one client', false)
  .action(async (session, options) => (await import('./token.ts')).create(session, options))

token
  .command('sign')
  .description('sign a JWT with the first secret of AUTH_JWT_SECRET and print it; nothing is stored')
  .option('--session <id>', 'a session that it opens; may be repeated', collect, [])
  .option('--run <id>', 'a run that it opens; may be repeated', collect, [])
  .option('--topic <name>', 'a live topic that it opens, also as build.*; may be repeated', collect, [])
  .option('--publish-topic <name>', 'a topic of OUTBOX_TOPICS that it publishes on; may be repeated', collect, [])
  .option('--publish', 'it writes the streams of its sessions (STREAM_APPEND)', false)
  .option('--agent <id>', 'only on the paths of this agent')
  .option('--sub <name>', 'the user')
  .option('--ttl <duration>', 'time to its exp: seconds, or 90s, 5m, 1h', '15m')
  .option('--read-only', 'frames of the client are refused (up: false)', false)
  .action(async (options) => (await import('./token-sign.ts')).sign(options))

token
  .command('revoke')
  .description('revoke JWTs and the resume tickets that go back to them, on every instance, and close their sockets')
  .option('--jti <id>', 'the token with this jti')
  .option('--sub <name>', 'the tokens of this user with an iat until now')
  .option('--sid <id>', 'the tokens of this login')
  .option('--before <time>', 'with --sub: those with an iat until this time, such as 2026-01-31T12:00:00Z')
  .option('--ttl <duration>', 'how long it is kept: the longest life of your tokens (default: 10 years)')
  .option('--gateway <url>', 'where a gateway takes admin calls (default: the gateway of this machine)')
  .action(async (options) => (await import('./token-revoke.ts')).revoke(options))

const user = program.command('user').description('users that log in at the gateway (AUTH_LOGIN)')
user
  .command('add')
  .description('add a user; its password comes from the terminal, or as the first line of stdin')
  .argument('<email>', 'its address')
  .option('--role <role>', 'viewer, operator or admin', 'viewer')
  .option('--name <name>', 'its full name', '')
  .action(async (email, options) => (await import('./user.ts')).addUser(email, options))
user
  .command('list')
  .description('print each user: address, role, state, last login, name')
  .option('--json', 'one object of JSON a line')
  .action(async (options) => (await import('./user.ts')).listUsers(options))
user
  .command('passwd')
  .description('set the password of a user, from the terminal or stdin, and end its logins')
  .argument('<email>', 'its address')
  .action(async (email) => (await import('./user.ts')).setPassword(email))
user
  .command('role')
  .description('set the role of a user')
  .argument('<email>', 'its address')
  .argument('<role>', 'viewer, operator or admin')
  .action(async (email, role) => (await import('./user.ts')).setRole(email, role))
user
  .command('sessions')
  .description('print the logins of a user, or end them')
  .argument('<email>', 'its address')
  .option('--end', 'end all of them: their tokens count no more, and their sockets are closed', false)
  .action(async (email, options) => (await import('./user.ts')).userSessions(email, options))
user
  .command('disable')
  .description('refuse the logins of a user, and end those that it has')
  .argument('<email>', 'its address')
  .action(async (email) => (await import('./user.ts')).disableUser(email))
user
  .command('enable')
  .description('accept the logins of a user again')
  .argument('<email>', 'its address')
  .action(async (email) => (await import('./user.ts')).enableUser(email))
user
  .command('delete')
  .description('delete a user, and end its logins')
  .argument('<email>', 'its address')
  .action(async (email) => (await import('./user.ts')).deleteUser(email))

const redis = program.command('redis').description('the Redis of the gateway')
redis
  .command('acl')
  .description('print the ACL SETUSER command for a user with the rights that the current settings need')
  .option('--redis <version>', 'version of the server: 7, or 6 (6.2 and later), which has no selectors', '7')
  .option('--user <name>', 'name of the user', 'wsproxy')
  .action(async (options) => (await import('./redis-acl.ts')).redisAcl(options))
redis
  .command('install')
  .description('load the library with which agents write the log of a session (Redis 7), into every server')
  .option('--print <what>', 'print it and change nothing: library (for FUNCTION LOAD), or script (for SCRIPT LOAD)')
  .action(async (options) => (await import('./redis-install.ts')).redisInstall(options))

program
  .command('redis-url')
  .description('print the URL of Redis with its password: REDIS_URL, or the embedded Redis of a running gateway')
  .action(async () => (await import('./redis-url.ts')).redisUrl())

program
  .command('doctor')
  .description(
    'check whether the gateway and its dependencies are ready to launch, and print a remedy for each failure',
  )
  .option('--session <id>', 'also check that this session has a token and a subscribed agent')
  .option('--run <id>', 'the run that is about to be launched')
  .option('--agent <id>', 'the agent that is about to be launched')
  .option('--event-type <type>', 'also check that this type of event is enabled')
  .option('--campaign <id>', 'with --event-type, also check that this campaign has no cooldown')
  .option('--json', 'print the report as JSON')
  .action(async (options) => {
    await (await import('./doctor.ts')).doctor(options)
    // Exit even if a check left work running or Sentry has not finished.
    process.stdout.write('', () => process.exit())
  })

program
  .command('config')
  .description('print the effective settings and where each value comes from')
  .option('--json', 'as JSON')
  .option('--running', 'of the gateway that runs at LISTEN_ADDR, instead of this environment')
  .option('--markdown [file]', 'write the reference page (docs/reference/settings.md); - prints it')
  .action(async (options) => (await import('./config.ts')).config(options))

program
  .command('completion')
  .description('print the script that completes commands and options in a shell')
  .argument('<shell>', 'bash, zsh or fish')
  .action(async (shell) => (await import('./completion.ts')).completion(program, shell))

addExamples(program)

/**
 * Runs the command of `process.argv`. Returns whether its words were understood; commander has
 * printed what was wrong with them, or the help. @throws what the command throws.
 */
export async function run(): Promise<boolean> {
  try {
    await program.parseAsync()
    return true
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0
    throw error
  }
}

function collect(value: string, former: readonly string[]): readonly string[] {
  return [...former, value]
}
